"""The spec of one pipeline: one dbt project, one connection, one Airflow DAG."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from goldsmith.errors import SpecError
from goldsmith.spec.after import After
from goldsmith.spec.alerts import Alerts
from goldsmith.spec.base import Duration, Places, SpecModel, explain, merged, some_time
from goldsmith.spec.deadline import Deadline
from goldsmith.spec.gate import Gate
from goldsmith.spec.ingest import Ingest
from goldsmith.spec.node import ResourceTypes
from goldsmith.spec.profile import Profile
from goldsmith.spec.report import Report
from goldsmith.spec.retries import Retries
from goldsmith.spec.schedule import UNSTEADY, Schedule, check_window
from goldsmith.spec.selection import Selection, Variables
from goldsmith.wording import did_you_mean

DEFAULT_LAYERS: dict[str, tuple[str, ...]] = {
    "bronze": ("path:models/bronze/",),
    "silver": ("path:models/silver/",),
    "gold": ("path:models/gold/",),
}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_A_NAME = "lower case letters, digits and underscores, a letter first"
_LONGEST, _LONGEST_LAYER = 200, 60  # Airflow takes ids of at most 250 letters, and groups of 200
_NAMESPACE = re.compile(
    r"(?!airflow:)[a-z][a-z0-9+.-]*://[^\s@?#]{1,500}"
)  # Airflow keeps its own scheme to itself


RESERVED = frozenset(
    {
        *("ingest", "sources", "build", "reconcile", "elementary_tables", "elementary_report"),
        *("run_report", "report_made", "dbt_docs", "publish", "alerts"),
    }
)
"""Names of tasks and groups beside the layers: no layer, and no folder's group, has one of them."""


class Pipeline(SpecModel):
    """One dbt project run as one Airflow DAG.

    Example:
        >>> Pipeline(name="shop", schedule="@daily", layers={"staging": "path:models/staging/"})
    """

    name: str
    """DAG id; lower case letters, digits and underscores."""
    description: str = ""
    schedule: Schedule | None = "@hourly"
    """Cron expression or preset; none: not by the clock. With `after` the clock counts only where it is written."""
    after: After | None = None
    """Assets whose update starts a run, such as the gold tables of another pipeline."""
    start_date: date = date(2026, 1, 1)
    owner: str = "data-platform"
    """Owner of the DAG, and of nodes for which dbt names none."""
    tags: tuple[str, ...] = ()

    project: str | None = None
    """Folder of the dbt project, from the repository's root; default `dbt_project`."""
    dbt: str | None = None
    """The dbt command, if it is installed into another environment than Airflow: a path (from the repository's root)
    or a name on the PATH; default is the setting GOLDSMITH_DBT, else dbt of Airflow's environment."""
    connection: str = "warehouse"
    """Airflow connection of the warehouse; its secrets reach dbt as environment variables."""
    target: str | None = None
    """dbt target; default is the setting GOLDSMITH_TARGET."""
    profile: Profile = Profile()
    select: Selection = ()
    exclude: Selection = ("package:elementary",)
    exclude_resource_types: ResourceTypes = ()
    """dbt's resource types of which no node is planned or run, as in DBT_EXCLUDE_RESOURCE_TYPES."""

    vars: Variables = Field(default_factory=dict)
    """dbt variables, in all of the pipeline's dbt commands; parameters of a run go before them, name by name."""
    state_manifest: str | None = None
    """Path of the manifest.json that `state:` in a run's selection compares with, from the repository's root."""

    layers: dict[str, Selection] = DEFAULT_LAYERS
    """Layer to dbt selection, in the order in which layers build."""
    gate: Literal["layer", "node"] = "layer"
    """`layer`: a layer starts when the gate before it passed; `node`: dbt's own order."""
    gates: dict[str, Gate] = Field(default_factory=dict)
    """Layer to what its gate lets through; a layer that is not named here has to be all green."""
    freshness: Literal["block", "warn", "skip", "off"] = "block"
    """What a stale source does: fail the run, only warn, or hold back just what depends on it; `off`: no source is
    checked, as with `dbt build`."""
    engine: Literal["shared", "isolated"] = "shared"
    """`shared`: one `dbt build` per layer, whose nodes have their own tasks; `isolated`: one dbt process per task."""
    tasks: Literal["auto", "test", "model_tests", "model"] = "auto"
    """What becomes an Airflow task. `test`: every node and every test; `model_tests`: every node, and its tests
    together; `model`: every node with its tests; `auto`: the first of these that gives few enough tasks."""
    ingest: tuple[Ingest, ...] = ()
    failing_rows: int = Field(5, ge=0, le=100)
    """How many of the rows that made a test fail are shown with it; 0 where nobody may see them."""

    report: Report | None = Report()
    """The report of each run, its last task; none: no report."""

    alerts: Alerts | None = None
    """Who is notified of what a run did; none: nobody is."""

    asset_namespace: str | None = "goldsmith://{name}"
    """Start of the URIs of Airflow's assets, before schema and name: the pipeline's own, or such as
    `postgres://host:5432/database`; none: no assets."""

    retries: Retries = Retries()
    slow_after: Duration | None = None
    """If one dbt node takes longer than this, a notification is sent; the node goes on."""
    node_timeout: Duration | None = None
    """After this time what a node runs in the warehouse is cancelled; the nodes built with it go on."""
    task_timeout: Duration = timedelta(minutes=30)
    run_timeout: Duration = timedelta(hours=2)
    """No task starts or goes on after this time from the start of the run."""
    deadlines: tuple[Deadline, ...] = ()
    """By when the run or single nodes have to be done; if one is late, a notification is sent, and it goes on."""
    window: Duration | None = None
    """Length of time that each run by the clock covers, up to its moment: what microbatch models build in it."""
    pool: str | None = None
    """Airflow pool of all tasks; default is Airflow's own, and `duckdb` on the local stack with a DuckDB file."""
    max_active_runs: int = Field(1, ge=1)
    catchup: bool = False

    environments: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Name of an environment to the keys of the spec that differ there; GOLDSMITH_ENVIRONMENT says which it is."""

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name) or len(name) > _LONGEST:
            raise ValueError(f"{name!r} is not a name: {_A_NAME}, at most {_LONGEST}")
        if name.startswith("dbt_"):
            # dbt imports every top-level module of that prefix as a plugin, DAG files included.
            raise ValueError(f"{name!r} starts with dbt_, which dbt takes for a plugin; choose another name")
        return name

    @field_validator("layers")
    @classmethod
    def _plain_layers(cls, layers: dict[str, Selection]) -> dict[str, Selection]:
        for name in layers:
            if not _NAME.fullmatch(name) or len(name) > _LONGEST_LAYER:
                raise ValueError(f"{name!r} cannot name a layer: write {_A_NAME}, at most {_LONGEST_LAYER}")
            if name in RESERVED:
                raise ValueError(
                    f"{name!r} cannot name a layer, because a task has the name; write another one, such as {name}_1"
                )
        return layers

    @field_validator("freshness", mode="before")
    @classmethod
    def _off(cls, freshness: object) -> object:
        return "off" if freshness is False else freshness  # YAML reads `off` as false

    @field_validator("asset_namespace")
    @classmethod
    def _plain_namespace(cls, namespace: str | None) -> str | None:
        if namespace is not None and not _NAMESPACE.fullmatch(namespace):
            raise ValueError(
                f"{namespace!r} is no start of a URI without login, query and fragment, such as "
                "postgres://host:5432/database"
            )
        return namespace

    _some_time = field_validator("window", "slow_after", "node_timeout", "task_timeout", "run_timeout")(
        some_time
    )

    @model_validator(mode="after")
    def _after_others(self) -> Pipeline:
        own = f"{(self.asset_namespace or '').replace('{name}', self.name).rstrip('/')}/"
        mine = [uri for uri in self.after.uris if uri.startswith(own)] if self.after and len(own) > 1 else []
        # A namespace that pipelines share tells nothing of who updates what.
        if mine and "{name}" in (self.asset_namespace or ""):
            raise ValueError(
                f"`after` names {mine[0]}, which {self.name} updates itself: it would run forever"
            )
        if self.after and self.times in UNSTEADY:
            raise ValueError(
                f"`schedule: {self.times}` and `after` do not go together; write a cron expression"
            )
        return self

    @model_validator(mode="after")
    def _runs_for_the_window(self) -> Pipeline:
        if self.window is not None:
            check_window(
                self.window, times=self.times, is_after_others=self.after is not None, engine=self.engine
            )
        return self

    @model_validator(mode="after")
    def _one_ingest_per_table(self) -> Pipeline:
        # Tables of one name in two schemas would share their tasks' ids.
        tables = [ingest.table_name for ingest in self.ingest]
        twice = sorted({ingest.source for ingest in self.ingest if tables.count(ingest.table_name) > 1})
        if twice:
            raise ValueError(f"two ingests fill a table of one name: {', '.join(twice)}; give each its own")
        return self

    @model_validator(mode="after")
    def _gates_of_layers(self) -> Pipeline:
        if self.gates and self.gate == "node":
            raise ValueError(
                "`gates` set limits for the gates between layers, and with `gate: node` there are none; write "
                "`gate: layer`, or take `gates` away"
            )
        for layer, gate in self.gates.items():
            if layer not in self.layers:
                meant = did_you_mean(layer, self.layers, f"Layers: {', '.join(self.layers)}.")
                raise ValueError(f"`gates` names {layer!r}, which is no layer. {meant}")
            if gate.on_block == "ask" and gate.ask_timeout >= self.run_timeout:
                raise ValueError(
                    f"the gate of {layer} would wait {gate.ask_timeout} for an answer, and after {self.run_timeout} "
                    "(`run_timeout`) no task starts any more; make `ask_timeout` shorter or `run_timeout` longer"
                )
        return self

    @model_validator(mode="after")
    def _somebody_to_tolerate_stale_sources(self) -> Pipeline:
        if self.freshness == "skip" and self.gate == "node" and self.engine == "isolated":
            raise ValueError(
                "`freshness: skip` lets a run end green with tasks that were held back, and with `gate: node` and "
                "`engine: isolated` nothing judges that; write `gate: layer`, `engine: shared` or `freshness: warn`"
            )
        return self

    @model_validator(mode="after")
    def _one_node_for_one_process(self) -> Pipeline:
        if self.engine == "isolated" and self.tasks not in ("auto", "test"):
            raise ValueError(
                f"`tasks: {self.tasks}` puts several dbt nodes into one task, and with `engine: isolated` a task runs "
                "one; write `engine: shared`, or `tasks: test`"
            )
        return self

    @model_validator(mode="after")
    def _valid_environments(self) -> Pipeline:
        for name, changes in self.environments.items():
            for key in ("name", "environments"):
                if key in changes:
                    raise ValueError(f"the environment {name} cannot change `{key}`")
            try:
                self._merged(changes)
            except ValidationError as error:
                raise ValueError(
                    f"the environment {name} is not valid:\n{explain(error, Pipeline)}"
                ) from error
        return self

    @property
    def times(self) -> str | None:
        """The schedule by the clock: the default only where nothing else starts the pipeline."""
        return None if self.after and "schedule" not in self.model_fields_set else self.schedule

    def without_types(self, types: Iterable[str]) -> Pipeline:
        """The spec with more resource types left out."""
        every = tuple(sorted({*self.exclude_resource_types, *types}))
        return self.model_copy(update={"exclude_resource_types": every}) if every else self

    def in_environment(self, name: str) -> Pipeline:
        """The spec with what differs in an environment.

        Args:
            name: Of the environment; empty for none.

        Raises:
            SpecError: The spec has environments, and none of that name.
        """
        if not name or not self.environments:
            return self
        if name not in self.environments:
            meant = did_you_mean(name, self.environments, f"It has {', '.join(self.environments)}.")
            raise SpecError(
                f"{self.name} has no environment {name!r}, which GOLDSMITH_ENVIRONMENT names. {meant}"
            )
        return self._merged(self.environments[name])

    def _merged(self, changes: dict[str, Any]) -> Pipeline:
        """The spec with changes."""
        values = self.model_dump(by_alias=True, exclude_unset=True, exclude={"environments"})
        return Pipeline.model_validate(merged(values, changes))

    @classmethod
    def parse(
        cls, values: Any, *, where: str = "the pipeline spec", place: Places = lambda _: ""
    ) -> Pipeline:
        """Check plain values and make a pipeline of them.

        Args:
            values: The spec as a mapping.
            where: What it is called in messages.
            place: Where in it a key is written.

        Raises:
            SpecError: With one line per fault, and the nearest valid key for an unknown one.
        """
        if not isinstance(values, dict):
            raise SpecError(f"{where} holds no mapping.", hint="Start it with `name: my_pipeline`.")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SpecError(
                f"{where} is not valid:\n{explain(error, cls, place)}",
                hint="`goldsmith check` tests it again.",
            ) from error
