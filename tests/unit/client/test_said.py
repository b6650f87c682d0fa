"""What is shown of a run while its builds hold their marks back, and what is said of warnings and failures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.builders import plan_of, planned_build, planned_node

from goldsmith.client.said import SaidByDbt, in_dbts_words
from goldsmith.engine.build_state import BuildState
from goldsmith.errors import ApiRefused
from goldsmith.plan.model import PlannedNode
from goldsmith.rest import RestClient, TaskInstance

STARTED = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Api(RestClient):
    """Answers from what a build and its nodes have kept."""

    def __init__(self) -> None:
        super().__init__("http://localhost:1")
        self.kept: dict[str, Any] = {}
        self.updated = STARTED + timedelta(seconds=2)
        self.records: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []

    def send(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        """The state store's route."""
        if "xcomEntries" in path:  # what dbt warned of beside the nodes
            raise ApiRefused("no such entry", status=404)
        self.asked.append(path)
        assert (method, path.split("/")[-4:-1]) == ("GET", ["taskInstances", "bronze.build", "state-store"])
        key = path.rsplit("/", 1)[1]
        if key not in self.kept:
            raise ApiRefused("no such key", status=404)
        return {"key": key, "value": self.kept[key], "updated_at": self.updated.isoformat()}

    def node_results(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """The details."""
        assert (dag_id, run_id) == ("shop", "r1")
        return {"path": "", "records": self.records.get(task_id, [])}


class Store:
    """Keeps what a build sets where the API finds it."""

    def __init__(self, api: Api) -> None:
        self.kept = api.kept

    def get(self, key: str, default: Any = None) -> Any:
        """A value."""
        return self.kept.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Keep it."""
        self.kept[key] = value

    def delete(self, key: str) -> None:
        """Forget a key."""
        self.kept.pop(key, None)


def node(name: str, kind: str = "model") -> PlannedNode:
    """A planned node of the bronze layer."""
    return planned_node(
        f"{kind}.shop.{name}", layer="bronze", build="bronze.build", upstream=("bronze.build",)
    )


BUILD = planned_build("bronze")
PLAN = plan_of((node("a"), node("b"), node("c"), node("t", "test")), builds=(BUILD,))


def task(task_id: str, state: str | None, started: datetime | None = None) -> TaskInstance:
    """A task of the run."""
    return TaskInstance(
        task_id=task_id, name=task_id, map_index=-1, state=state, try_number=1, started=started, ended=None
    )


TASKS = (
    task("bronze.build", "running", STARTED),
    task("bronze.a", None),
    task("bronze.b", None),
    task("bronze.c", "skipped"),
    task("bronze.t", None),
)


@pytest.fixture
def api() -> Api:
    """An Airflow whose build has done three of four nodes."""
    api = Api()
    state = BuildState(build_id="1", max_tries=0)
    state.statuses = {"model.shop.a": "success", "model.shop.b": "error", "model.shop.c": "success"}
    state.save(Store(api))
    return api


def states(said: SaidByDbt, *tasks: TaskInstance) -> dict[str, str | None]:
    """What is shown."""
    return {one.task_id.removeprefix("bronze."): one.state for one in said.over(tasks)}


def test_nodes_are_shown_as_dbt_finishes_them_and_never_over_a_state_that_airflow_has(api: Api) -> None:
    """The build is asked at most every other second, and no more when it has ended; its state is two values."""
    now = [0.0]
    said = SaidByDbt(api=api, run_id="r1", plan=PLAN, clock=lambda: now[0])
    expected = {"build": "running", "a": "success", "b": "failed", "c": "skipped", "t": None}
    assert states(said, *TASKS) == states(said, *TASKS) == expected
    assert len(api.asked) == 2
    now[0] = 2.5
    assert states(said, *TASKS) == expected
    assert len(api.asked) == 4
    ended = (task("bronze.build", "success", STARTED), *TASKS[1:])
    assert states(said, *ended) == {**expected, "build": "success", "a": None, "b": None}
    assert len(api.asked) == 4


def test_a_task_of_several_nodes_is_red_with_the_first_that_fails_and_green_with_the_last(api: Api) -> None:
    """Between the two nothing is known of it."""
    joint = replace(PLAN, nodes=tuple(replace(one, task_id="bronze.a") for one in PLAN.nodes[:3]))
    shown = []
    for statuses in (
        ["success"],
        ["success", "warn"],
        ["success", "skipped", "success"],
        ["success", "fail"],
    ):
        state = BuildState(build_id="1", max_tries=0)
        names = [node.unique_id for node in joint.nodes]
        state.statuses = dict(zip(names, statuses, strict=False))
        state.save(Store(api))
        shown.append(states(SaidByDbt(api=api, run_id="r1", plan=joint), *TASKS)["a"])
    assert shown == [None, None, None, "failed"]
    state.statuses = dict.fromkeys(names, "success")
    state.save(Store(api))
    assert states(SaidByDbt(api=api, run_id="r1", plan=joint), *TASKS)["a"] == "success"


def test_what_a_build_kept_before_it_was_cleared_is_not_shown(api: Api) -> None:
    """Nor anything where it has kept nothing."""
    api.updated = STARTED - timedelta(seconds=1)
    before = {"build": "running", "a": None, "b": None, "c": "skipped", "t": None}
    assert states(SaidByDbt(api=api, run_id="r1", plan=PLAN), *TASKS) == before
    api.kept.clear()
    assert states(SaidByDbt(api=api, run_id="r1", plan=PLAN), *TASKS) == before


def record(name: str, status: str, message: str) -> dict[str, Any]:
    """A record as the API gives it."""
    texts = ("task_id", "kind", "invocation_id", "command", "built_by", "started", "ended", "relation")
    rest: dict[str, Any] = {
        "seconds": 0.1,
        "rows": None,
        "failures": 1,
        "materialized": "",
        "lines": [],
        "compiled_sql": "",
    }
    return {**dict.fromkeys(texts, ""), **rest, "unique_id": name, "status": status, "message": message}


def test_a_warning_is_told_until_the_test_passes_and_a_failure_in_dbts_words(api: Api) -> None:
    """The last record counts: what was cleared and ran again has another one after it."""
    state = BuildState(build_id="1", max_tries=0)
    state.statuses = {"test.shop.t": "warn", "model.shop.b": "error"}
    state.save(Store(api))
    api.records["bronze.t"] = [record("test.shop.t", "warn", "Got 2 results")]
    api.records["bronze.b"] = [record("model.shop.b", "error", "Database Error")]
    said = SaidByDbt(api=api, run_id="r1", plan=PLAN)
    assert [(one.task_id, one.message) for one in said.warnings()] == [("bronze.t", "Got 2 results")]
    assert in_dbts_words(said.lasts("bronze.b")) == "model.shop.b: Database Error"
    assert in_dbts_words(said.lasts("bronze.t")) == ""
    api.records["bronze.t"].append(record("test.shop.t", "pass", ""))
    assert said.warnings() == ()


def test_tests_that_share_a_task_are_told_apart(api: Api) -> None:
    """One look at the task's details says which of them warned, and which failed."""
    tests = tuple(replace(node(name, "test"), task_id="bronze.tests") for name in "tuv")
    state = BuildState(build_id="1", max_tries=0)
    state.statuses = {"test.shop.t": "warn", "test.shop.u": "fail", "test.shop.v": "warn"}
    state.save(Store(api))
    api.records["bronze.tests"] = [
        record("test.shop.t", "warn", "Got 2 results"),
        record("test.shop.v", "pass", ""),
        record("test.shop.u", "fail", "Got 1 result"),
        record("test.shop.v", "warn", "Got 3 results"),
    ]
    said = SaidByDbt(api=api, run_id="r1", plan=replace(PLAN, nodes=tests))
    warned = [(one.task_id, one.unique_id, one.message) for one in said.warnings()]
    assert warned == [
        ("bronze.tests", "test.shop.t", "Got 2 results"),
        ("bronze.tests", "test.shop.v", "Got 3 results"),
    ]
    assert in_dbts_words(said.lasts("bronze.tests")) == "test.shop.u: Got 1 result"
