"""The task of a node in the isolated engine: what it makes of what dbt says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
from tests.airflow.joint_tasks import FakeDbt, Result, Store
from tests.builders import plan_of, planned_node
from tests.sites import StatedSite, site_of

from goldsmith.dbt.error_class import CANCELLED
from goldsmith.engine.build_state import BuildState
from goldsmith.engine.dbt.invocation import Invocations
from goldsmith.engine.isolated import node_task
from goldsmith.engine.isolated.node_task import IsolatedTask
from goldsmith.engine.task_end import NodeFailed
from goldsmith.errors import DbtStopped, EnvironmentProblem
from goldsmith.plan.model import PlannedNode
from goldsmith.results.microbatch import Microbatches
from goldsmith.results.record import NodeResult
from goldsmith.spec.run import RunOptions

ORDERS = planned_node("model.shop.orders", asset="goldsmith://shop/orders", updated_by="silver.orders")
DAYS = planned_node("model.shop.days", materialized="incremental")
PLAN = plan_of((ORDERS, DAYS))
CLASH = 'Database Error: duplicate key violates unique constraint "pg_namespace_nspname_index"'
ALL = ("2026-11-20", "2026-11-21")


class StoppingDbt(FakeDbt):
    """Says what it is told, and first ends as often as it is told."""

    stops: list[BaseException]
    batches: Mapping[str, Microbatches]
    on_batches: Callable[[Mapping[str, Microbatches]], None]

    def run(self, verb: str, nodes: Iterable[PlannedNode]) -> None:
        """End, or finish the nodes."""
        chosen = list(nodes)
        if chosen:
            if self.batches:
                self.on_batches(self.batches)
            if self.stops:
                raise self.stops.pop(0)
        super().run(verb, chosen)


@dataclass
class Bench:
    """A task that may be tried several times."""

    site: StatedSite
    result: Result
    said: dict[str, str] = field(default_factory=lambda: {ORDERS.unique_id: "success"})
    stops: list[BaseException] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    batches: Mapping[str, Microbatches] = field(default_factory=dict)
    store: Store = field(default_factory=Store)
    dbt: StoppingDbt | None = None

    @contextmanager
    def ready(self, _: Any, run_id: str, task_id: str, options: RunOptions) -> Iterator[Invocations]:
        """Make dbt ready; only for a writer."""
        assert self.site.writer.writing == [task_id]
        assert run_id == "r1"
        made = StoppingDbt(self.result, self.said)
        made.stops, made.batches, made.failures = self.stops, self.batches, self.failures
        made.space = SimpleNamespace(options=options, compiled_sql=lambda *_: "select 1")
        self.dbt = made
        yield cast("Invocations", made)

    def task(self, node: PlannedNode = ORDERS, **airflow: Any) -> IsolatedTask:
        """The operator, in a process of its own."""
        return IsolatedTask(node=node, site=self.site, dbt=self.ready, task_id=node.task_id, **airflow)

    def context(self, **conf: Any) -> Any:
        """Of a try."""
        run = SimpleNamespace(conf=conf, start_date=datetime.now(UTC))
        instance = SimpleNamespace(max_tries=2)
        return {"run_id": "r1", "ti": instance, "dag_run": run, "task_state_store": self.store}

    def tried(self, node: PlannedNode = ORDERS, **airflow: Any) -> IsolatedTask:
        """One try."""
        task = self.task(node, **airflow)
        task.pre_execute(self.context())
        task.execute(self.context())
        return task

    def kept(self, node: PlannedNode = ORDERS) -> list[NodeResult]:
        """All details of a node."""
        return list(self.site.results.all("r1", [node.task_id])[node.task_id])

    def failed(self, node: PlannedNode = ORDERS, **airflow: Any) -> NodeFailed:
        """The failure of one try."""
        with pytest.raises(NodeFailed) as raised:
            self.tried(node, **airflow)
        assert [one.node for one in raised.value.failed] == [node]
        return raised.value


@pytest.fixture
def bench(tmp_path: Path, result: Result, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A task without a warehouse: what is missing in it is not asked for."""
    monkeypatch.setattr(node_task, "name_what_is_missing", lambda *_: None)
    return Bench(site_of(PLAN, tmp_path), result)


def test_a_built_node_is_kept_and_updates_its_asset(bench: Bench) -> None:
    """Beside other tasks of the run, which may write too."""
    task = bench.tried()
    assert [one.status for one in bench.kept()] == ["success"]
    assert [asset.uri for asset in task.outlets] == ["goldsmith://shop/orders"]
    assert bench.site.writer.is_alone is False
    assert bench.dbt is not None
    assert bench.dbt.ran == [("build", [ORDERS.unique_id])]
    assert bench.store == {}, "nothing of it is of use to another try"


def test_a_failed_node_is_named_with_what_dbt_said(bench: Bench) -> None:
    """The retry policy goes by the node and its message."""
    bench.said[ORDERS.unique_id] = "error"
    failure = bench.failed()
    assert failure.failed[0].status == "error"
    assert failure.failed[0].message == bench.kept()[0].message != ""
    assert failure.failed[0].message in failure.message


def test_a_run_with_parameters_is_refused(bench: Bench) -> None:
    """Each task would have to have its own part in them."""
    with pytest.raises(AirflowFailException, match="started with select, threads"):
        bench.task().pre_execute(bench.context(threads=4, select="orders"))


def test_a_node_that_dbt_does_not_have_fails(bench: Bench) -> None:
    """dbt ends well then, and the node would be green."""
    bench.said.clear()
    failure = bench.failed()
    assert "the project, as dbt reads it now, does not have it" in failure.message
    assert bench.kept() == []


def test_what_stops_dbt_fails_the_node(bench: Bench) -> None:
    """With dbt's words, by which it may be tried again."""
    bench.stops = [DbtStopped("dbt build ended with code 2.\ndbt said:\nconnection refused")]
    failure = bench.failed()
    assert (failure.failed[0].status, failure.failed[0].message.splitlines()[-1]) == (
        "error",
        "connection refused",
    )
    assert "dbt build --select orders --target prod" in failure.hint


def test_dbt_starts_again_if_another_task_made_the_same_schema(bench: Bench) -> None:
    """Four times at most."""
    bench.stops = [DbtStopped(CLASH)] * 3
    bench.tried()
    assert [one.status for one in bench.kept()] == ["success"]
    bench.stops = [DbtStopped(CLASH)] * 4
    assert "pg_namespace_nspname_index" in bench.failed().message


@pytest.mark.parametrize("status", ["success", "skipped", "error"])
def test_what_fails_beside_the_node_fails_the_task(bench: Bench, status: str) -> None:
    """A hook: dbt may say of the node that it is well, or skip it."""
    bench.said[ORDERS.unique_id] = status
    bench.failures = ["on-run-end-0: division by zero"]
    failure = bench.failed()
    assert failure.failed[0].status == "error"
    assert failure.failed[0].message.endswith("on-run-end-0: division by zero")
    assert [one.status for one in bench.kept()] == [status]


def test_a_node_at_its_limit_was_cancelled(bench: Bench) -> None:
    """It is kept why, and what dbt runs in the warehouse is ended."""
    bench.stops = [AirflowTaskTimeout("Timeout")]
    failure = bench.failed(execution_timeout=timedelta(minutes=30))
    said = f"Its task's time limit of 0:30:00 was over: {CANCELLED}"
    assert (failure.failed[0].status, failure.failed[0].message) == ("error", said)
    [late] = bench.kept()
    assert (late.status, late.message, late.compiled_sql) == ("error", said, "select 1")
    assert datetime.fromisoformat(late.started) <= datetime.fromisoformat(late.ended)
    assert bench.site.writer.ended == [("r1", ORDERS.task_id)]


def test_a_node_at_its_limit_is_named_if_nothing_can_be_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retry policy goes by the node."""
    bench.stops = [AirflowTaskTimeout("Timeout")]

    def full(*_: Any, **__: Any) -> None:
        raise EnvironmentProblem("No space left on device")

    monkeypatch.setattr(bench.site.results, "keep", full)
    assert CANCELLED in bench.failed().failed[0].message


def test_a_task_that_is_ended_ends_dbt_and_its_queries(bench: Bench) -> None:
    """Airflow kills it 5 seconds later."""
    task = bench.tried()
    assert bench.site.writer.ended == []
    task.on_kill()
    assert bench.dbt is not None
    assert bench.dbt.is_stopped
    assert bench.site.writer.ended == [("r1", ORDERS.task_id)]


def test_a_try_goes_on_with_the_batches_of_the_one_before(bench: Bench) -> None:
    """Until all are built; then nothing is kept."""
    half = Microbatches(planned=ALL, built=frozenset(ALL[:1]))
    bench.said = {DAYS.unique_id: "success"}
    bench.batches, bench.stops = {DAYS.unique_id: half}, [DbtStopped("dbt was killed.")]
    bench.failed(DAYS)
    kept = BuildState.load(bench.store)
    assert kept is not None
    assert kept.batches == {DAYS.unique_id: half}
    bench.batches = {}
    bench.tried(DAYS)
    assert bench.dbt is not None
    assert bench.dbt.ran == [("retry", [ALL[1]])]
    assert BuildState.load(bench.store) is None


def test_all_batches_are_built_if_what_the_model_reads_was_built_since(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The built ones hold what was read before."""
    half = Microbatches(planned=ALL, built=frozenset(ALL[:1]))
    BuildState(build_id="b", max_tries=0, batches={DAYS.unique_id: half}).save(bench.store)
    monkeypatch.setattr(node_task, "is_rebuilt_since", lambda *_: True)
    bench.said = {DAYS.unique_id: "success"}
    bench.tried(DAYS)
    assert bench.dbt is not None
    assert bench.dbt.ran == [("retry", [*ALL])]
