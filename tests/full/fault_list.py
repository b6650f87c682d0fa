"""The faults, and what each engine makes of them: the table in docs/engine.md is this list."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.full.fault_ground import Plot

    from goldsmith.rest import Run

COMPLETE = "green, and complete"
"""The run is green, and everything is built and tested."""
NOT_COMPARED = "**false green**: nothing is compared"
"""What `engine: isolated` cannot see: nothing compares its tasks with the warehouse after they have ended."""
ANY = "red: the run's state says it"
"""There is no failed task whose log could: Airflow skips what is left."""
Act = Callable[["Plot", "Run"], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Something that could make a run green that must not be."""

    name: str
    shared: str
    """What stands in the log of a failed task; `COMPLETE` where the run is green, and rightly so."""
    isolated: str
    keys: tuple[str, ...] = ()
    """In the warehouse, without the schema in front."""
    env: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    conf: Mapping[str, object] = field(default_factory=dict)
    edits: Mapping[str, str | None] = field(default_factory=dict)
    """Files of the project that change after it was parsed; None deletes one."""
    act: Act | None = None
    """Done while `orders` is being built."""
    is_for_both: bool = False
    """Whether it is done once, while both runs are at that."""
    after: Act | None = None
    """Done when the run has ended; then its new end counts."""
    has_batches: bool = False
    runs: int = 1
    is_race: bool = False
    """Whether a run that is red may also be green and complete, depending on the moment."""

    def says(self, engine: str) -> str:
        """What an engine says of it."""
        return self.shared if engine == "shared" else self.isolated

    @property
    def line(self) -> str:
        """Its line in the docs."""
        or_complete = f", or {COMPLETE}" if self.is_race else ""
        found = [
            says if says in (COMPLETE, NOT_COMPARED, ANY) else f"red: `{says}`{or_complete}"
            for says in (self.shared, self.isolated)
        ]
        return f"| {' | '.join([self.name, *found])} |"


def _kill_dbt(plot: Plot, run: Run) -> None:
    plot.here.kill_dbt(run, "bronze.build" if run.dag_id == "shared" else "bronze.orders.run")


def _kill_worker(plot: Plot, run: Run) -> None:
    plot.here.kill_worker(run, "bronze.build" if run.dag_id == "shared" else "bronze.orders.run")


def _end_session(plot: Plot, run: Run) -> None:
    plot.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where state = 'active' and query like %s "
        "and pid <> pg_backend_pid()",
        f"%faults.step('{run.dag_id}', 'orders'%",
    )


def _drop(plot: Plot, run: Run) -> None:
    plot.sql(f"drop table {run.dag_id}.lonely")


def _other_kind(plot: Plot, run: Run) -> None:
    plot.here.until(lambda: plot.sql("select to_regclass(%s) is not null", f"{run.dag_id}.shown")[0][0])
    plot.sql(f"drop view {run.dag_id}.shown")
    plot.sql(f"create table {run.dag_id}.shown as select 1 as id")


def _mark_later(plot: Plot, run: Run) -> None:
    plot.mark(run, "silver.revenue.run", "success")


def _skip_gate(plot: Plot, run: Run) -> None:
    plot.mark(run, "bronze.gate", "skipped")


def _cancel(plot: Plot, run: Run) -> None:
    from goldsmith.rest.transport import run_path

    plot.here.api.send("PATCH", run_path(run.dag_id, run.run_id), body={"state": "failed"})


def _delete_results(plot: Plot, run: Run) -> None:
    """When those of `lonely` are there."""
    from goldsmith.results.store import ResultStore

    results = ResultStore(plot.stack.env()["GOLDSMITH_RESULTS_PATH"])
    kept = Path(results.location(run.dag_id, run.run_id, "bronze.lonely.run"))
    plot.here.until(kept.exists)
    shutil.rmtree(kept.parent)


def _replace_manifest(plot: Plot, _: Run) -> None:
    """As a deploy does that is half done."""
    plot.edit("target/manifest.json", "{}")


def _deploy(plot: Plot, _: Run) -> None:
    """Another version of the project comes, with its manifest: a layer that is still to be built has one model more."""
    plot.edit("models/silver/added.sql", "select id from {{ ref('orders') }}")
    plot.parse()


def _break_and_clear(plot: Plot, run: Run) -> None:
    plot.set(f"{run.dag_id}.broken_orders")
    plot.clear(run, "bronze.orders.run")


_IN_A_TASK = """
import pathlib, sys, tempfile
from airflow.sdk import get_parsing_context
if get_parsing_context().task_id:
    program = pathlib.Path(tempfile.mkdtemp(), "dbt")
    program.write_text({program!r}.replace("SCHEMA", pathlib.Path(__file__).stem).replace("PYTHON", sys.executable))
    program.chmod(0o755)
    os.environ["GOLDSMITH_DBT"] = str(program)
"""
_SILENT = _IN_A_TASK.format(program="#!/bin/sh\n")
_LIAR = """\
#!PYTHON
import json, pathlib, sys
state = pathlib.Path(sys.argv[sys.argv.index("--state") + 1], "run_results.json")
for one in json.loads(state.read_text())["results"]:
    kind, package, name = one["unique_id"].split(".")[:3]
    place = '"warehouse"."SCHEMA"."%s"' % name
    node = {"unique_id": one["unique_id"], "resource_type": kind, "materialized": "table"}
    node["node_relation"] = {"relation_name": "" if kind == "test" else place}
    said = {"node_info": node, "run_result": {"status": "pass" if kind == "test" else "success"}}
    info = {"name": "NodeFinished", "level": "debug", "msg": "", "invocation_id": "lie"}
    print(json.dumps({"info": info, "data": said}), flush=True)
"""
_LIES = _IN_A_TASK.format(program=_LIAR)
_LIES_BARELY = _IN_A_TASK.format(program=_LIAR.replace('"" if kind == "test" else place', '""'))
_FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
"""
_FEWER_TYPES = """
from airflow.sdk import get_parsing_context
if get_parsing_context().task_id:
    os.environ["DBT_EXCLUDE_RESOURCE_TYPES"] = "test"
"""
_BROKEN = "is broken on purpose"
_HOLD = ("hold_orders",)
_DISABLED = "{{ config(enabled=false) }}\nselect 1 as id"

FAULTS: tuple[Fault, ...] = (
    Fault(name="no fault", shared=COMPLETE, isolated=COMPLETE),
    Fault(name="dbt is killed", keys=_HOLD, act=_kill_dbt, shared=COMPLETE, isolated=COMPLETE),
    Fault(
        name="the process that forks dbt is killed",
        keys=_HOLD,
        act=lambda plot, _: plot.here.kill_host(),
        is_for_both=True,
        shared=COMPLETE,
        isolated=COMPLETE,
    ),
    Fault(name="the worker is killed", keys=_HOLD, act=_kill_worker, shared=COMPLETE, isolated=COMPLETE),
    Fault(
        name="the scheduler is killed",
        keys=_HOLD,
        act=lambda plot, _: plot.here.kill("scheduler"),
        is_for_both=True,
        shared=COMPLETE,
        isolated=COMPLETE,
    ),
    Fault(
        name="the API server is killed while tasks are marked",
        keys=_HOLD,
        act=lambda plot, _: plot.here.kill("api-server"),
        is_for_both=True,
        is_race=True,
        shared="on-run-end hooks may not have run",
        isolated=COMPLETE,
    ),
    Fault(
        name="PostgreSQL restarts",
        keys=_HOLD,
        act=lambda plot, _: plot.here.restart_postgres(),
        is_for_both=True,
        shared=COMPLETE,
        isolated=COMPLETE,
    ),
    Fault(
        name="the session of dbt is ended in the warehouse",
        keys=_HOLD,
        act=_end_session,
        shared=COMPLETE,
        isolated=COMPLETE,
    ),
    Fault(
        name="dbt ends with code 0 and says nothing",
        code=_SILENT,
        shared="missing",
        isolated="does not have it",
    ),
    Fault(
        name="dbt says success and builds nothing",
        code=_LIES,
        shared="the warehouse has nothing there",
        isolated=NOT_COMPARED,
    ),
    Fault(
        name="dbt says success, names no relation and builds nothing",
        code=_LIES_BARELY,
        shared="names no relation, so the warehouse was not asked",
        isolated=NOT_COMPARED,
    ),
    Fault(name="an on-run-start hook fails", keys=("broken_start_hook",), shared=_BROKEN, isolated=_BROKEN),
    Fault(name="an on-run-end hook fails", keys=("broken_end_hook",), shared=_BROKEN, isolated=_BROKEN),
    Fault(
        name="a transaction is rolled back at its commit",
        keys=("orphan",),
        shared="violates foreign key constraint",
        isolated="violates foreign key constraint",
    ),
    Fault(
        name="the failing rows of a test are gone when one looks",
        keys=("failing_orders", "hides"),
        shared="Got 1 result",
        isolated="Got 1 result",
    ),
    Fault(
        name="a table is dropped after its build",
        keys=_HOLD,
        act=_drop,
        shared="the warehouse has nothing there",
        isolated=NOT_COMPARED,
    ),
    Fault(
        name="a view is replaced by a table after its build",
        keys=_HOLD,
        act=_other_kind,
        shared="should be a view, the warehouse has table",
        isolated=NOT_COMPARED,
    ),
    Fault(
        name="a program marks a node that was not built as successful",
        keys=_HOLD,
        act=_mark_later,
        shared="Airflow shows it green, dbt says",
        isolated=NOT_COMPARED,
    ),
    Fault(
        name="a program marks the gate as skipped",
        keys=(*_HOLD, "failing_orders"),
        act=_skip_gate,
        shared="Got 1 result",
        isolated=NOT_COMPARED,
    ),
    Fault(name="the run is cancelled", keys=_HOLD, act=_cancel, shared="cancelled", isolated=ANY),
    Fault(
        name="a task is cleared after the end, and fails",
        after=_break_and_clear,
        shared=_BROKEN,
        isolated=NOT_COMPARED,
    ),
    Fault(
        name="a table is built again alone, and takes a view of the next layer with it",
        after=lambda plot, run: plot.clear(run, "bronze.orders.run"),
        shared="the warehouse has nothing there",
        isolated=NOT_COMPARED,
    ),
    Fault(
        name="the results path cannot be written",
        env={"GOLDSMITH_RESULTS_PATH": "/proc/goldsmith"},
        shared="/proc/goldsmith",
        isolated=COMPLETE,
    ),
    Fault(
        name="the results are deleted meanwhile",
        keys=_HOLD,
        act=_delete_results,
        shared="nothing can be read under the results path",
        isolated=COMPLETE,
    ),
    Fault(name="the disk is full", code=_FULL, shared="File too large", isolated="File too large"),
    Fault(
        name="the manifest is replaced during the run",
        keys=_HOLD,
        act=_replace_manifest,
        is_for_both=True,
        shared=COMPLETE,
        isolated=COMPLETE,
    ),
    Fault(
        name="another version of the project is deployed during the run",
        keys=_HOLD,
        act=_deploy,
        is_for_both=True,
        shared=COMPLETE,
        isolated=COMPLETE,
    ),
    Fault(
        name="a model is gone from the project",
        edits={"models/bronze/lonely.sql": None},
        shared="missing",
        isolated="does not match any enabled nodes",
    ),
    Fault(
        name="a model is disabled in the project",
        edits={"models/bronze/lonely.sql": _DISABLED},
        shared="missing",
        isolated="does not match any enabled nodes",
    ),
    Fault(
        name="a microbatch model loses one batch of three",
        keys=("broken_day_2",),
        has_batches=True,
        shared=_BROKEN,
        isolated=_BROKEN,
    ),
    Fault(name="DBT_EMPTY=1", env={"DBT_EMPTY": "1"}, shared="DBT_EMPTY", isolated="DBT_EMPTY"),
    Fault(
        name="DBT_EXCLUDE_RESOURCE_TYPES=test, for the workers alone",
        code=_FEWER_TYPES,
        shared="no node for the task",
        isolated="no node for the task",
    ),
    Fault(
        name="DBT_WARN_ERROR_OPTIONS silences that nothing matches, and a model is gone",
        env={"DBT_WARN_ERROR_OPTIONS": '{"silence": ["NoNodesForSelectionCriteria"]}'},
        edits={"models/bronze/lonely.sql": None},
        shared="missing",
        isolated="does not match any enabled nodes",
    ),
    Fault(
        name="DBT_FAIL_FAST=1, and a model fails",
        env={"DBT_FAIL_FAST": "1"},
        keys=("broken_orders",),
        shared=_BROKEN,
        isolated=_BROKEN,
    ),
    Fault(
        name="a run of some nodes, whose build fails",
        conf={"select": "orders"},
        keys=("broken_start_hook",),
        shared=_BROKEN,
        isolated="a run has no parameters",
    ),
    Fault(name="two runs at once", runs=2, shared=COMPLETE, isolated=COMPLETE),
)


def table() -> str:
    """The table in docs/engine.md: each fault, and what came of a run with it; below it how many were found."""
    head = "| fault | `engine: shared` | `engine: isolated` |\n|---|---|---|"
    found = [sum(fault.says(engine) == NOT_COMPARED for fault in FAULTS) for engine in ("shared", "isolated")]
    counts = (
        f"Tried: {len(FAULTS) - 1} faults with each engine. "
        f"Found: {found[0]} false greens with `engine: shared`, {found[1]} with `engine: isolated`."
    )
    return "\n".join([head, *(fault.line for fault in FAULTS), "", counts])
