"""The gate as a task: what it judges by, what it tells, and how it asks a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput
from tests.airflow.joint_tasks import Store
from tests.builders import plan_of, planned_gate, planned_node

from goldsmith.engine.gate import asking, task
from goldsmith.engine.gate.asking import AskingGateTask
from goldsmith.engine.gate.task import GateTask
from goldsmith.engine.site import Site
from goldsmith.errors import EnvironmentProblem, NoApiAccess
from goldsmith.gate_rules.base import Measured
from goldsmith.gates.verdict import Verdict
from goldsmith.plan.graph import PlanGraph
from goldsmith.rest.questions import Question
from goldsmith.results.record import NodeResult
from goldsmith.spec.gate import Gate

ORDERS = planned_node("model.shop.orders", relation='"silver"."orders"')
CHECK = planned_node("test.shop.check", upstream=(ORDERS.task_id,))
JUDGED = (ORDERS.task_id, CHECK.task_id)
GATE = planned_gate("silver", JUDGED)
GREEN = dict.fromkeys(JUDGED, "success")
RED = {**GREEN, CHECK.task_id: "failed"}


@dataclass
class OneRun:
    """A site whose run the test describes, and what the gate tells."""

    given: Mapping[str, str | None] = field(default_factory=lambda: GREEN)
    limits: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, NodeResult] = field(default_factory=dict)
    freshness: str = "block"
    can_tolerate: bool = True
    run_timeout: timedelta = timedelta(hours=2)
    graph: PlanGraph = field(default_factory=lambda: PlanGraph(plan_of((ORDERS, CHECK), gates=(GATE,))))
    target: Any = field(
        default_factory=lambda: SimpleNamespace(dag_id="shop", connection="warehouse", target="prod")
    )
    written: list[Verdict] = field(default_factory=list)

    @property
    def gates(self) -> dict[str, Gate]:
        """The limits."""
        return {"silver": Gate.model_validate(self.limits)} if self.limits else {}

    @property
    def results(self) -> OneRun:
        """It keeps them itself."""
        return self

    def last(self, _: str, nodes: Any) -> dict[str, NodeResult]:
        """Details, of those that have some."""
        return {one.unique_id: self.kept[one.unique_id] for one in nodes if one.unique_id in self.kept}

    def states(self, _: str, __: list[str] | None = None) -> Mapping[str, str | None]:
        """Of all tasks."""
        return self.given


@dataclass
class Instance:
    """The task's own instance."""

    try_number: int = 1
    max_tries: int = 2
    id: str = "ti-1"
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, *, key: str, value: Any) -> None:
        """Keep it."""
        self.pushed[key] = value

    def xcom_pull(self, *, task_ids: str, key: str = "") -> None:
        """No build and no earlier gate has left anything."""
        assert task_ids or key


@dataclass
class Asked:
    """Airflow's way to ask, and the answer that an earlier try got."""

    questions: list[dict[str, Any]] = field(default_factory=list)
    answer: Question | None = None
    is_away: bool = False


def context(instance: Instance | None = None, *, conf: Any = None, started: timedelta = timedelta(0)) -> Any:
    """Of a run that began some time ago."""
    run = SimpleNamespace(conf=conf or {}, start_date=datetime.now(UTC) - started)
    return {"run_id": "r1", "ti": instance or Instance(), "dag_run": run, "task_state_store": Store()}


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Nobody has access to the REST API but to look for an answer; rows of verdicts go to the site."""
    made = Asked()

    @contextmanager
    def answers() -> Iterator[Any]:
        if made.is_away:
            raise EnvironmentProblem("Airflow does not answer.")
        yield SimpleNamespace(question=lambda *_, try_number: made.answer if try_number is None else None)

    def refused() -> Any:
        raise NoApiAccess("no access")

    monkeypatch.setattr(asking, "airflow_api", answers)
    monkeypatch.setattr(task, "airflow_api", refused)
    monkeypatch.setattr(task, "write_verdict", lambda site, _, verdict: site.written.append(verdict))
    monkeypatch.setattr(task, "updated_assets", lambda *_, **__: ())
    monkeypatch.setattr(asking, "upsert_hitl_detail", lambda **question: made.questions.append(question))
    return made


def gate(site: OneRun, kind: type[GateTask] = GateTask, **given: Any) -> Any:
    """The task."""
    return kind(gate=GATE, site=cast("Site", site), task_id=GATE.task_id, **given)


def test_a_green_layer_passes_and_the_verdict_is_told() -> None:
    """As the return value, as an XCom and in the warehouse."""
    site, instance = OneRun(), Instance()
    found = gate(site).execute(context(instance))
    assert (found["verdict"], instance.pushed["return_value"]) == ("pass", found)
    assert [one.verdict for one in site.written] == ["pass"]


def test_a_red_layer_blocks_and_says_by_what() -> None:
    """The verdict is kept all the same."""
    site, instance = OneRun(given=RED), Instance()
    with pytest.raises(
        AirflowFailException, match=r"The gate after silver blocks: failed_tests 1, at most 0"
    ):
        gate(site).execute(context(instance))
    assert instance.pushed["return_value"]["verdict"] == "block"
    assert [one.verdict for one in site.written] == ["block"]


def test_a_dry_run_writes_nothing_into_the_warehouse() -> None:
    """Nothing was built that a verdict could be about."""
    site = OneRun()
    gate(site).execute(context(conf={"dry_run": True}))
    assert site.written == []


@pytest.mark.parametrize(
    ("rows", "before", "verdict"),
    [(10, 10.0, "pass"), (10, None, "pass"), (4, None, "warn"), (10, 40.0, "block")],
)
def test_what_stands_in_the_warehouse_is_measured_once_for_each_model(
    monkeypatch: pytest.MonkeyPatch, rows: int, before: float | None, verdict: str
) -> None:
    """With all columns of all limits; and compared with the last good run."""
    seen: list[dict[str, Sequence[str]]] = []

    def measure(wanted: dict[str, Sequence[str]]) -> dict[str, Measured]:
        seen.append(wanted)
        return {
            relation: Measured(rows=rows, filled=dict.fromkeys(columns, rows))
            for relation, columns in wanted.items()
        }

    def last_good(run_id: str, layer: str, asked: list[str]) -> dict[str, float]:
        assert (run_id, layer, asked) == ("r1", "silver", ["rows of orders"])
        return {} if before is None else {"rows of orders": before}

    monkeypatch.setattr(task, "warehouse_for", lambda *_: SimpleNamespace(measure=measure))
    monkeypatch.setattr(task, "table_of", lambda _: SimpleNamespace(last_good=last_good))
    then, far = "block" if verdict == "block" else "warn", {"share": 0.1}
    rows_of = {"min": 5, "change": 0.5, "then": then}
    limits = {"rows": {"orders": rows_of}, "nulls": {"orders": {"id": far, "day": far}}}
    site = OneRun(limits=limits)
    judged = gate(site).judged(context())
    assert judged.verdict == verdict
    assert seen == [{'"silver"."orders"': ("day", "id")}]


def test_a_past_that_cannot_be_read_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of verdicts that is not there yet."""
    one_row = SimpleNamespace(measure=lambda wanted: dict.fromkeys(wanted, Measured(rows=1, filled={})))
    monkeypatch.setattr(task, "warehouse_for", lambda *_: one_row)

    def broken(*_: Any) -> Any:
        raise EnvironmentProblem("The warehouse does not answer.")

    monkeypatch.setattr(task, "table_of", lambda _: SimpleNamespace(last_good=broken))
    judged = gate(OneRun(limits={"rows": {"orders": {"change": 0.5}}})).judged(context())
    assert {one.rule: one.outcome for one in judged.rules}["change of rows of orders"] == "not measured"


def test_a_model_that_was_not_built_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was held back, or skipped by a selection."""
    monkeypatch.setattr(task, "warehouse_for", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr(task, "table_of", lambda _: SimpleNamespace(last_good=lambda *_: {}))
    site = OneRun(given={**GREEN, ORDERS.task_id: "skipped"}, limits={"rows": {"orders": 1}})
    assert {one.rule: one.shown for one in gate(site).judged(context()).rules}[
        "rows of orders"
    ] == "not built in this run"


def test_tests_that_warned_are_counted_by_dbts_word(result: Any) -> None:
    """Their tasks are green."""
    warned = result(unique_id=CHECK.unique_id, task_id=CHECK.task_id, kind="test", status="warn")
    site = OneRun(limits={"warned_tests": 0}, kept={CHECK.unique_id: warned})
    assert gate(site).judged(context()).verdict == "block"


ASKS: Mapping[str, Any] = {"on_block": "ask", "ask_timeout": "30m"}


def waiting(site: OneRun, instance: Instance | None = None, **given: Any) -> tuple[Any, Any]:
    """A gate that has asked, and its context."""
    made, about = gate(site, AskingGateTask, **given), context(instance)
    with pytest.raises(TaskAwaitingInput):
        made.execute(about)
    return made, about


def test_a_blocked_layer_is_shown_and_asked_about(asked: Asked) -> None:
    """While it waits its verdict can be seen, and whoever has to answer is told."""
    told: list[str] = []
    _, about = waiting(OneRun(given=RED, limits=ASKS), on_ask=lambda run_id, _: told.append(run_id))
    [question] = asked.questions
    assert (question["ti_id"], question["options"]) == ("ti-1", ["Approve", "Reject"])
    assert CHECK.task_id in question["body"]
    assert about["ti"].pushed["return_value"]["verdict"] == "block"
    assert told == ["r1"]


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (
            {
                "chosen_options": ["Approve"],
                "params_input": {"reason": "known"},
                "responded_by_user": {"name": "ann"},
            },
            "warn",
        ),
        (
            {
                "chosen_options": ["Reject"],
                "params_input": {"reason": "wrong rates"},
                "responded_by_user": SimpleNamespace(name="ann"),
            },
            "Rejected by ann",
        ),
        ({"error": "timeout"}, "Nobody answered: no answer within 0:30:00"),
    ],
)
def test_an_answer_ends_the_wait(event: Any, outcome: str) -> None:
    """Who approves lets pass what was shown; a no, or no answer, blocks."""
    site = OneRun(given=RED, limits=ASKS)
    made, about = waiting(site)
    if outcome == "warn":
        found = made.execute_complete(about, event)
        assert (found["verdict"], found["tolerated"]) == ("warn", [CHECK.unique_id])
        assert found["override"]["by"] == "ann"
        return
    with pytest.raises(AirflowFailException, match=outcome):
        made.execute_complete(about, event)


def test_an_answer_without_a_reason_is_asked_for_again(asked: Asked) -> None:
    """It does not count."""
    made, about = waiting(OneRun(given=RED, limits=ASKS))
    event = {"chosen_options": ["Approve"], "params_input": {"reason": " "}}
    with pytest.raises(TaskAwaitingInput):
        made.execute_complete(about, event)
    assert len(asked.questions) == 2


@pytest.mark.parametrize(("given", "conf"), [(GREEN, {}), (RED, {"dry_run": True})])
def test_nobody_is_asked_where_there_is_nothing_to_decide(
    asked: Asked, given: Mapping[str, str], conf: Mapping[str, Any]
) -> None:
    """A green layer, and a dry run, whose verdict says what would block."""
    made = gate(OneRun(given=given, limits=ASKS), AskingGateTask)
    if given is GREEN:
        assert made.execute(context(conf=conf))["verdict"] == "pass"
    else:
        with pytest.raises(AirflowFailException, match="blocks"):
            made.execute(context(conf=conf))
    assert asked.questions == []


def test_nobody_is_asked_if_the_runs_time_is_over(asked: Asked) -> None:
    """No task would start after the answer."""
    made = gate(OneRun(given=RED, limits=ASKS), AskingGateTask)
    with pytest.raises(
        AirflowFailException, match="nobody was asked: the run's time limit of 2:00:00 is over"
    ):
        made.execute(context(started=timedelta(hours=3)))
    assert asked.questions == []


def answered(*, reason: str) -> Question:
    """What a person has answered to an earlier try."""
    return Question(
        asked=None,
        is_answered=True,
        chosen=("Approve",),
        params={"reason": reason},
        by="ann",
        answered=datetime.now(UTC),
    )


@pytest.mark.parametrize(
    ("try_number", "max_tries", "is_taken"), [(2, 2, True), (1, 2, False), (2, 4, False)]
)
def test_a_later_try_takes_the_answer_to_an_earlier_one(
    asked: Asked, try_number: int, max_tries: int, *, is_taken: bool
) -> None:
    """Not so the same try, nor one after a clear: both are void then."""
    site = OneRun(given=RED, limits=ASKS)
    made, about = waiting(site)
    asked.answer = answered(reason="known")
    about["ti"] = Instance(try_number=try_number, max_tries=max_tries)
    if is_taken:
        assert made.execute(about)["verdict"] == "warn"
        return
    with pytest.raises(TaskAwaitingInput):
        made.execute(about)


def test_an_answer_that_cannot_be_looked_for_is_asked_for_again(asked: Asked) -> None:
    """Rather than taken for a no."""
    made, about = waiting(OneRun(given=RED, limits=ASKS))
    about["ti"], asked.is_away = Instance(try_number=2), True
    with pytest.raises(TaskAwaitingInput):
        made.execute(about)
    assert len(asked.questions) == 2
