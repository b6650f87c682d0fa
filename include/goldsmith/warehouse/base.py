"""What Goldsmith does in a warehouse beside dbt: one interface, and a class for each kind of warehouse.

A warehouse can do whatever its class overrides. What it does not override it cannot do: that is named to the user,
it never makes a run red, and it hides no failure.
"""

# ruff: noqa: ARG002 - what a warehouse cannot do takes no notice of what it is given

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, ClassVar

from goldsmith.errors import ConfigurationError, GoldsmithError
from goldsmith.gate_rules.base import Measured
from goldsmith.profile_file import named
from goldsmith.results.record import FailingRows
from goldsmith.warehouse.explain import explained

TABLE, VIEW, MATERIALIZED_VIEW = "table", "view", "materialized_view"

Value = str | float | None
"""What a statement is given."""


class Capability(Enum):
    """What a warehouse may be able to do: the method that does it, its name, and what a run is like without it."""

    COMPARE = (
        "relation_kinds",
        "compare relations",
        "after a layer only Airflow and dbt are compared; a table that somebody drops meanwhile is not noticed",
    )
    MEASURE = (
        "measure",
        "measure rows and nulls",
        "limits of gates on rows and nulls are not measured, and the verdict says so",
    )
    VERDICTS = (
        "run",
        "keep the verdicts of gates",
        "there is no table goldsmith_gates, and limits on the change of rows have nothing to compare with",
    )
    ONE_WRITER = (
        "writer",
        "keep two runs from writing at once",
        "only max_active_runs keeps two runs of a pipeline apart, and nothing a run and a backfill",
    )
    CANCEL_NODE = (
        "cancel_node",
        "cancel the query of one node",
        "a node that reaches its node_timeout is reported, and its query runs on",
    )
    END_SESSIONS = (
        "end_sessions",
        "end the queries of a lost task",
        "the query of a task that was killed may run to its end beside the next try",
    )
    SAMPLE = (
        "sample_rows",
        "show failing rows",
        "the details of a failed test show their number only",
    )
    LOAD = ("loader", "load raw files", "`ingest` is refused")

    def __init__(self, method: str, text: str, without: str) -> None:
        self.method = method
        self.text = text
        self.without = without


@dataclass(frozen=True, kw_only=True)
class Writer:
    """The right to write a target.

    Attributes:
        target: What is written.
    """

    target: str

    def is_held(self) -> bool:
        """Whether this process is still the writer: one question to the warehouse.

        It stops being so when its session dies, with the server for example. Whoever wrote under it must stop.
        """
        return True


class Warehouse:
    """A warehouse that can do nothing but what dbt does in it.

    Args:
        conn_id: The Airflow connection.
        kind: What the connection is for, in dbt's words: `postgres`, `snowflake`.
    """

    types: ClassVar[Mapping[str, str]] = {}
    """SQL types of a text, a time and a number, of a warehouse that keeps verdicts."""
    answers_beside_dbt: ClassVar[bool] = True
    """Whether it may be asked while dbt builds: cheaply, and without being in dbt's way."""

    def __init__(self, conn_id: str, kind: str) -> None:
        self.conn_id = conn_id
        self.kind = kind

    @classmethod
    def capabilities(cls) -> frozenset[Capability]:
        """What it can do."""
        return frozenset(
            one for one in Capability if getattr(cls, one.method) is not getattr(Warehouse, one.method)
        )

    def can(self, wanted: Capability) -> bool:
        """Whether it can do something."""
        return wanted in self.capabilities()

    def quoted(self, name: str) -> str:
        """A name as one part of an SQL statement that is given to `run`."""
        raise self._cannot(Capability.VERDICTS)

    def relation_kinds(self, relations: Collection[str]) -> dict[str, str]:
        """Look which relations exist, in one go.

        Args:
            relations: Their names as dbt writes them: two or three parts, quoted or bare.

        Returns:
            `table`, `view` or `materialized_view` of each that exists, by the name that was asked for. Partitioned,
            foreign and streaming tables are tables.

        Raises:
            EnvironmentProblem: The warehouse fails.
            ConfigurationError: It is a warehouse that cannot do this.
        """
        raise self._cannot(Capability.COMPARE)

    def measure(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, Measured]:
        """Count rows, and those with a value in a column.

        Args:
            wanted: Names of relations as dbt writes them, each with the names of columns.

        Returns:
            Name of the relation to what it holds.

        Raises:
            EnvironmentProblem: The warehouse fails, or has no such table.
            ConfigurationError: It is a warehouse that cannot do this.
        """
        raise self._cannot(Capability.MEASURE)

    def run(
        self, statement: str, values: Sequence[Value] = (), *, name: str, timeout: float = 30.0
    ) -> list[tuple[Any, ...]]:
        """Run one statement of our own, as a transaction of its own.

        Args:
            statement: SQL with `%s` for each value, and `%%` for a percent sign.
            values: Numbers, text or nothing.
            name: Of the session, if sessions have names.
            timeout: Seconds that it may take, if a session can have a limit.

        Returns:
            The rows; none where it gives none.

        Raises:
            NoSuchTable: A table or schema is not there.
            EnvironmentProblem: The warehouse fails.
            ConfigurationError: It is a warehouse that cannot do this.
        """
        raise self._cannot(Capability.VERDICTS)

    def writer(
        self,
        *,
        target: str,
        run: str,
        exclusive: bool,
        on_wait: Callable[[str], None],
        timeout: timedelta | None = None,
        tag: str = "",
    ) -> contextlib.AbstractContextManager[Writer]:
        """Become the writer of a target, and stay it until the end of the `with` block.

        Two runs never write a target at once. Tasks of one run write together where all of them ask for it. Not to be
        nested: a task that asks twice waits for itself.

        Args:
            target: Names what is written, such as `warehouse/prod/analytics`.
            run: The run, by an id that no other run has.
            exclusive: Whether no other task of the run may write meanwhile.
            on_wait: Called with a sentence about who is waited for: at once, then every minute.
            timeout: How long to wait; none is for ever.
            tag: Name of the session that holds the lock; made of target and run where empty. It is not the one of
                dbt's sessions, or ending those would end it too.

        Returns:
            The context manager. A warehouse that cannot do this locks nothing.

        Raises:
            EnvironmentProblem: On entering: the warehouse fails, or the time is over.
        """
        return contextlib.nullcontext(Writer(target=target))

    def cancel_node(self, tag: str, unique_id: str) -> int:
        """Cancel what dbt runs for one node; its session goes on with others.

        Args:
            tag: The name of dbt's sessions.
            unique_id: dbt's, of the node.

        Returns:
            How many queries; 0 where there is none, and from a warehouse that cannot do this.

        Raises:
            EnvironmentProblem: The warehouse does not answer.
        """
        return 0

    def end_sessions(self, tag: str, *, timeout: float) -> int:
        """End the sessions of a tag, with what they run, and wait until they are gone.

        Safe in a signal handler once this process has opened a session of the connection (an earlier call does that):
        it then asks Airflow for nothing and logs nothing.

        Args:
            tag: Their name in full; only sessions of the connection's own login are ended.
            timeout: Seconds for all of it.

        Returns:
            How many sessions there were; 0 from a warehouse that cannot do this.

        Raises:
            EnvironmentProblem: The warehouse does not answer, or a session is still there after the time.
        """
        return 0

    def sample_rows(self, queries: Sequence[str], *, limit: int, timeout: float) -> list[FailingRows | None]:
        """Read the first rows of queries, as text.

        Args:
            queries: The compiled SQL of tests, each one `select` as dbt makes it.
            limit: Rows to read at most.
            timeout: Seconds that each query may take, if a session can have a limit.

        Returns:
            The rows of each query: of each row the first 20 columns, of each value the first 200 characters. None
            where the SQL fails, with a line in the log: a sample is never the reason for a failure.
        """
        return [None] * len(queries)

    def session_options(self) -> Mapping[str, str]:
        """Environment variables of a dbt whose queries end soon after it was killed; none where that cannot be asked.

        Raises:
            EnvironmentProblem: The warehouse does not answer.
        """
        return {}

    def grant_for(self, said: str, *, query: str = "", schema: str = "") -> str:
        """The statement that gives a right which the warehouse says is missing.

        Args:
            said: What it said, by itself or through dbt.
            query: The compiled SQL that it said it of.
            schema: Schema in which something was to be made.

        Returns:
            Empty if it is about something else, or if this warehouse cannot tell.
        """
        return ""

    def missing_grants(self, *, writes: Iterable[str], reads: Iterable[str]) -> list[str] | None:
        """The statements that give the rights which are missing to make and to read relations.

        Args:
            writes: Names of relations that are made, as dbt writes them.
            reads: Names of relations that are read, and that others make.

        Returns:
            An empty list if nothing is missing; None if this warehouse cannot tell.

        Raises:
            EnvironmentProblem: The warehouse does not answer.
        """
        return None

    def explained(self, said: str) -> GoldsmithError | None:
        """The error that a text is which the warehouse, its driver or dbt says before any node runs.

        Returns:
            `UnusableConnection` or `WarehouseRefused` if trying again would end the same, else an
            `EnvironmentProblem`; None if the text is about something else.
        """
        return explained(said, self.conn_id, grant=self.grant_for)

    def loader(self) -> Callable[[], Any]:
        """What opens a connection that loads raw files, of psycopg.

        Raises:
            EnvironmentProblem: When it is called: the connection is not one of psycopg 3.
            ConfigurationError: It is a warehouse that cannot do this.
        """
        raise self._cannot(Capability.LOAD)

    def _cannot(self, what: Capability) -> ConfigurationError:
        return ConfigurationError(
            f"Goldsmith cannot {what.text} in {self.kind} ({named(self.conn_id)}).",
            hint="See what it can do in which warehouse: docs/warehouses.md",
        )
