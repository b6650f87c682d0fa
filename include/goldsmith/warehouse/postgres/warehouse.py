"""PostgreSQL as Goldsmith uses it: it can do everything.

What needs the driver is imported where it is used: a DAG file is parsed without it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from goldsmith.profile_file import OPTIONS_VARIABLE
from goldsmith.results.record import FailingRows
from goldsmith.warehouse.base import Value, Writer
from goldsmith.warehouse.names import relation_of
from goldsmith.warehouse.sql import SqlWarehouse


class PostgresWarehouse(SqlWarehouse):
    """PostgreSQL 15 and later."""

    types: ClassVar[Mapping[str, str]] = {"text": "text", "time": "timestamptz", "number": "double precision"}

    def relation_kinds(self, relations: Collection[str]) -> dict[str, str]:
        """Look in the catalogue, with one query."""
        from goldsmith.warehouse.postgres.relations import relation_kinds

        places = {relation: relation_of(relation) for relation in relations}
        found = relation_kinds(self.conn_id, list(dict.fromkeys(places.values()))) if places else {}
        return {relation: found[place] for relation, place in places.items() if place in found}

    def run(
        self, statement: str, values: Sequence[Value] = (), *, name: str, timeout: float = 30.0
    ) -> list[tuple[Any, ...]]:
        """Run one statement in a session of its own."""
        from goldsmith.warehouse.postgres.statements import run_statement

        return run_statement(self.conn_id, statement, values, name=name, timeout=timeout)

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
        """Hold an advisory lock.

        The connection must lead to a session of its own, not to a pool that serves each transaction by another one.
        """
        from goldsmith.warehouse.postgres.writer import writer

        return writer(
            self.conn_id,
            target=target,
            run=run,
            exclusive=exclusive,
            on_wait=on_wait,
            timeout=timeout,
            tag=tag,
        )

    def cancel_node(self, tag: str, unique_id: str) -> int:
        """Cancel the statements that name the node in dbt's comment."""
        from goldsmith.warehouse.postgres.cancel import cancel_node

        return cancel_node(self.conn_id, tag, unique_id)

    def end_sessions(self, tag: str, *, timeout: float) -> int:
        """End the sessions of that `application_name`."""
        from goldsmith.warehouse.postgres.cancel import end_sessions

        return end_sessions(self.conn_id, tag, timeout=timeout)

    def sample_rows(self, queries: Sequence[str], *, limit: int, timeout: float) -> list[FailingRows | None]:
        """Read in transactions that can change nothing."""
        from goldsmith.warehouse.postgres.rows import sample_rows

        return [sample_rows(self.conn_id, query, limit=limit, timeout=timeout) for query in queries]

    def session_options(self) -> Mapping[str, str]:
        """Let the server look once a second whether its client still lives."""
        from goldsmith.warehouse.postgres.watch import watched_options

        options = watched_options(self.conn_id)
        return {OPTIONS_VARIABLE: options} if options else {}

    def grant_for(self, said: str, *, query: str = "", schema: str = "") -> str:
        """Ask the catalogue which right it is."""
        from goldsmith.warehouse.postgres.rights import grant_for

        return grant_for(self.conn_id, said, query=query, schema=schema)

    def missing_grants(self, *, writes: Iterable[str], reads: Iterable[str]) -> list[str]:
        """Ask the catalogue."""
        from goldsmith.warehouse.postgres.rights import missing_grants

        return missing_grants(self.conn_id, writes=writes, reads=reads)

    def loader(self) -> Callable[[], Any]:
        """What opens a session by the provider's hook, with whatever the connection says."""
        from goldsmith.warehouse.postgres.session import loader

        return loader(self.conn_id)
