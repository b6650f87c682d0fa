"""What a task keeps while dbt builds its nodes, also where it cannot be kept at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from tests.airflow.joint_tasks import GRAPH, NODES, ORDERS, FakeApi, FakeDbt, Result, of

from goldsmith.engine.batch import Batch
from goldsmith.engine.build_state import BuildState
from goldsmith.engine.shared.marks import Marker
from goldsmith.errors import EnvironmentProblem
from goldsmith.results.microbatch import Microbatches
from goldsmith.results.record import NodeResult

HALF = Microbatches(planned=("2026-11-20", "2026-11-21"), built=frozenset({"2026-11-20"}))


class BatchesDbt(FakeDbt):
    """dbt with a microbatch model, of which it builds half and ends."""

    on_batches: Any = None
    on_begun: Any = None

    def run(self, verb: str, nodes: Any) -> None:
        """Begin with the model, and say what became of the nodes."""
        if verb == "build":
            self.on_begun({"orders": HALF.anew()})
            self.on_batches({"orders": HALF})
        super().run(verb, nodes)


@dataclass
class Kept:
    """Where a task keeps its progress; some of the times it fails."""

    fails: list[Exception] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    statuses: list[dict[str, str]] = field(default_factory=list)
    begun: list[Mapping[str, Microbatches]] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    waiting: list[NodeResult] = field(default_factory=list)
    is_stopped: bool = False
    """Whether the task is stopped while the rows are asked for."""

    def keep(self, results: list[NodeResult], *, is_more: bool) -> None:
        """Details."""
        assert is_more in (True, False)
        if results and self.fails:
            raise self.fails.pop(0)
        self.details += [one.unique_id for one in results]

    def save(self, state: BuildState) -> None:
        """The state."""
        self.statuses.append(dict(state.statuses))

    def begin(self, batches: Mapping[str, Microbatches]) -> None:
        """Batches."""
        if self.fails:
            raise self.fails.pop(0)
        self.begun.append(batches)

    def now(self, result: NodeResult) -> NodeResult:
        """A sample of failing rows; of a test that failed when dbt has ended."""
        if result.status == "fail":
            self.waiting.append(result)
        else:
            self.samples.append(result.unique_id)
        return result

    @property
    def waits(self) -> bool:
        """Whether something waits."""
        return bool(self.waiting)

    def at_last(self) -> list[NodeResult]:
        """What waited."""
        if self.is_stopped:
            raise KeyboardInterrupt
        waiting, self.waiting = self.waiting, []
        self.samples += [one.unique_id for one in waiting]
        return waiting


@pytest.fixture(autouse=True)
def _always_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goldsmith.engine.batch.FLUSH_EVERY", 0.0)


def batch(kept: Kept, dbt: FakeDbt, api: FakeApi | None = None) -> Batch:
    """The nodes on their way."""
    return Batch(
        graph=GRAPH,
        dbt=cast("Any", dbt),
        keep=kept.keep,
        state=BuildState(build_id="b1", max_tries=0),
        save=kept.save,
        begin=kept.begin,
        marker=None if api is None else Marker(GRAPH, "r1", connect=lambda: api),
        sampler=cast("Any", kept),
    )


@pytest.mark.parametrize("error", [EnvironmentProblem("the disk is full"), ConnectionError("no answer")])
def test_what_cannot_be_kept_now_is_kept_with_the_next(
    result: Result, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """dbt goes on meanwhile; the log says why."""
    kept = Kept(fails=[error, error])
    batch(kept, FakeDbt(result, dict.fromkeys(("orders", "t_1", "t_2"), "success"))).build(NODES[2:])
    assert sorted(kept.details) == ["orders", "t_1", "t_2"]
    assert [len(one) for one in kept.statuses] == [1, 2, 3, 3]
    assert f"Progress could not be kept: {'' if error.args[0][0] == 't' else 'ConnectionError: '}{error}" in (
        caplog.text
    )


def test_batches_are_kept_when_dbt_begins_and_forgotten_when_the_model_is_done(
    result: Result, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be kept stops nothing; a model that ended red keeps those that dbt has left."""
    kept, dbt = Kept(), BatchesDbt(result, {"orders": "success"})
    made = batch(kept, dbt)
    made.build(NODES[2:3])
    assert kept.begun == [{"orders": HALF.anew()}]
    assert made.state.batches == {}
    lost = batch(Kept(fails=[ConnectionError("no answer")]), BatchesDbt(result, {}))
    lost.build(NODES[2:3])
    assert lost.state.batches == {"orders": HALF}
    assert "ConnectionError: no answer" in caplog.text
    lost._turn([result(**of(NODES[2]), status="partial success", batches=HALF.anew())])
    assert lost.state.batches == {"orders": HALF.anew()}


def test_what_failed_is_in_the_log_and_each_result_may_get_a_sample(
    result: Result, caplog: pytest.LogCaptureFixture
) -> None:
    """What is held back is no news."""
    kept = Kept()
    dbt = FakeDbt(result, {"orders": "error", "t_1": "skipped", "t_2": "skipped"})
    batch(kept, dbt).build(NODES[2:])
    assert "ERROR orders: SELECT 7" in caplog.text
    assert "SKIPPED" not in caplog.text
    assert kept.samples == ["orders", "t_1", "t_2"]


def test_a_reason_that_is_no_nodes_own_is_in_the_log_once(
    result: Result, caplog: pytest.LogCaptureFixture
) -> None:
    """A right that all nodes lack."""
    made = batch(Kept(), FakeDbt(result, {}))
    for node in NODES[2:]:
        made._turn([result(**of(node), status="error", message="permission denied for schema gold")])
    assert [line.split(": ", 1)[1] for line in caplog.messages] == [
        "permission denied for schema gold",
        "as above",
        "as above",
    ]


def test_a_test_that_warned_has_a_note_when_dbt_has_ended(result: Result) -> None:
    """In Airflow it is as green as any."""
    api = FakeApi()
    dbt = FakeDbt(result, {"orders": "success", "t_1": "pass", "t_2": "warn"})
    batch(Kept(), dbt, api).build(NODES[2:])
    assert list(api.notes) == [ORDERS]


def test_what_failed_beside_the_nodes_is_kept_with_their_state(result: Result) -> None:
    """A next try finds nothing to build, and has to know it."""
    dbt = FakeDbt(result, {"orders": "success"})
    dbt.failure = "on-run-end failed"
    made = batch(Kept(), dbt)
    made.build(NODES[2:3])
    assert made.state.failure == "on-run-end failed"


def test_fail_fast_leaves_no_node_missing(result: Result) -> None:
    """dbt did not come to it because it was asked not to."""
    dbt = FakeDbt(result, {"orders": "error"})
    dbt.has_failed_fast = True
    made = batch(Kept(), dbt)
    made.build(NODES[2:])
    assert made.state.statuses == {"orders": "error", "t_1": "skipped", "t_2": "skipped"}


def test_what_waits_for_its_rows_is_kept_before_the_warehouse_is_asked(result: Result) -> None:
    """Asking may take long, and then it is kept again; a task that is stopped meanwhile has lost the rows alone."""
    said = {"orders": "success", "t_1": "fail", "t_2": "success"}
    kept, stopped = Kept(), Kept(is_stopped=True)
    batch(kept, FakeDbt(result, said)).build(NODES[2:])
    assert kept.details == ["orders", "t_1", "t_2", "t_1"]
    assert kept.samples == ["orders", "t_2", "t_1"]
    with pytest.raises(KeyboardInterrupt):
        batch(stopped, FakeDbt(result, said)).build(NODES[2:])
    assert stopped.details == ["orders", "t_1", "t_2"]
