"""What a run with a selection leaves out: asked of dbt once, shown as skipped, and known to later builds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk.exceptions import AirflowFailException
from tests.builders import plan_of, planned_build, planned_node

from goldsmith.dbt.listing import Listing
from goldsmith.engine.shared import left_out
from goldsmith.engine.shared.left_out import choose, left_by_first
from goldsmith.engine.site import Site
from goldsmith.errors import EnvironmentProblem
from goldsmith.plan.graph import PlanGraph
from goldsmith.results.record import NodeResult
from goldsmith.spec.run import RunOptions

ORDERS = planned_node("model.shop.orders", layer="bronze", build="bronze.build")
CHECK = planned_node("test.shop.check", layer="bronze", build="bronze.build", task_id="bronze.orders")
REPORT = planned_node("model.shop.report", layer="silver", build="silver.build")
BUILDS = (planned_build("bronze"), planned_build("silver"))
GRAPH = PlanGraph(plan_of((ORDERS, CHECK, REPORT), builds=BUILDS, layers=("bronze", "silver")))


@dataclass
class Lab:
    """A site whose dbt answers as the test says, and what is done in Airflow."""

    listed: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    code: int = 0
    earlier: dict[str, dict[str, NodeResult]] = field(default_factory=dict)
    """Run id to its details, the latest run first."""
    commands: list[list[str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    graph: PlanGraph = GRAPH
    compared_with: Path | None = None
    target: Any = field(default_factory=lambda: SimpleNamespace(dag_id="shop", target="prod"))

    @property
    def results(self) -> Lab:
        """It keeps them itself."""
        return self

    def last(self, run_id: str, _: Any) -> dict[str, NodeResult]:
        """Details of a run."""
        return self.earlier[run_id]

    def lasted(self) -> dict[str, float]:
        """How long nodes took."""
        return {}

    def plain_command(self, command: Sequence[str]) -> list[str]:
        """Of the workspace."""
        return list(command)

    def write_results(self, statuses: dict[str, str]) -> None:
        """Of the workspace: what `result:` means."""
        self.written |= statuses

    @property
    def site(self) -> Site:
        """As the build knows it."""
        return cast("Site", self)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    """With dbt, the way to Airflow and the marks replaced."""
    made = Lab()

    @contextmanager
    def workspace(*_: Any) -> Iterator[Lab]:
        yield made

    def list_nodes(_: Any, __: Any, command: list[str]) -> tuple[Listing, int]:
        made.commands.append(command)
        found = Listing(unique_ids=frozenset(made.listed), unmatched=made.unmatched, errors=made.errors)
        return found, made.code

    @contextmanager
    def api() -> Iterator[Any]:
        runs = [SimpleNamespace(run_id=one, is_finished=one != "running") for one in ("r9", *made.earlier)]
        yield SimpleNamespace(runs=lambda *_, **__: runs)

    class Marks:
        """Takes marks."""

        def __init__(self, *_: Any) -> None:
            self.close = lambda: None

        def skip(self, task_ids: list[str]) -> None:
            """Note what is skipped."""
            made.skipped += task_ids

    monkeypatch.setattr(left_out, "dbt_workspace", workspace)
    monkeypatch.setattr(left_out, "list_nodes", list_nodes)
    monkeypatch.setattr(left_out, "airflow_api", api)
    monkeypatch.setattr(left_out, "Marker", Marks)
    return made


@dataclass
class Builds:
    """The XCom of the run's builds."""

    kept: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, *, key: str, value: Any) -> None:
        """Of the first build."""
        self.kept[f"bronze.build {key}"] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        """Of any."""
        return self.kept.get(f"{task_ids} {key}")


def asked(builds: Builds | None = None) -> Any:
    """The context of a build of the run r9."""
    return {"run_id": "r9", "ti": builds or Builds()}


def options(**given: Any) -> RunOptions:
    """The parameters of the run."""
    return RunOptions.parse(given, target="prod")


def test_a_run_of_everything_asks_nobody(lab: Lab) -> None:
    """And skips nothing."""
    assert choose(lab.site, asked(), options(threads=2), "bronze.build") is None
    assert (lab.commands, lab.skipped) == ([], [])


def test_the_first_build_asks_and_the_others_read_what_it_has_left(lab: Lab) -> None:
    """A task with several nodes is chosen with any of them."""
    lab.listed, builds = (CHECK.unique_id,), Builds()
    chosen = choose(lab.site, asked(builds), options(select="check"), "bronze.build")
    assert chosen == frozenset({"bronze.orders"})
    assert lab.skipped == ["silver.report"]
    assert choose(lab.site, asked(builds), options(select="check"), "silver.build") == chosen
    assert left_by_first(lab.site, asked(builds)) == chosen
    assert len(lab.commands) == 1
    assert "check" in lab.commands[0]


def test_a_build_whose_first_one_has_said_nothing_asks_itself(lab: Lab) -> None:
    """It was cleared alone, say; it skips nothing then."""
    lab.listed = (REPORT.unique_id,)
    assert choose(lab.site, asked(), options(exclude="orders"), "silver.build") == frozenset(
        {"silver.report"}
    )
    assert lab.skipped == []


def test_a_dry_run_builds_nothing_and_says_what_it_would(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Without a selection dbt need not be asked."""
    with caplog.at_level("INFO"):
        assert choose(lab.site, asked(), options(dry_run=True), "bronze.build") == frozenset()
    assert lab.commands == []
    assert lab.skipped == ["bronze.orders", "silver.report"]
    assert "It would build:" in caplog.text
    assert "report" in caplog.text


@pytest.mark.parametrize(
    ("said", "error", "expected"),
    [
        ({"unmatched": ("ordrs",)}, AirflowFailException, "ordrs"),
        ({"listed": ("model.other.x",)}, AirflowFailException, "leaves nothing of shop to build"),
        ({"code": 2, "errors": ("Invalid selector",)}, AirflowFailException, "Invalid selector"),
        ({"code": -9, "errors": ()}, EnvironmentProblem, "dbt could not say what the selection means"),
    ],
)
def test_what_means_nothing_ends_the_run_and_what_was_killed_may_be_tried_again(
    lab: Lab, said: dict[str, Any], error: type[Exception], expected: str
) -> None:
    """Before anything is skipped."""
    for name, value in said.items():
        setattr(lab, name, value)
    with pytest.raises(error, match=expected):
        choose(lab.site, asked(), options(select="ordrs"), "bronze.build")
    assert lab.skipped == []


def test_result_means_the_last_run_that_has_ended_and_built_something(
    lab: Lab, result: Callable[..., NodeResult]
) -> None:
    """Not this one, nor one that goes on, nor a dry one; a stale source counts as an error."""
    stale = result(unique_id=ORDERS.unique_id, status="runtime error")
    lab.earlier = {"running": {"x": stale}, "dry": {}, "r7": {ORDERS.unique_id: stale}, "r6": {}}
    lab.listed = (ORDERS.unique_id,)
    choose(lab.site, asked(), options(select="result:error"), "bronze.build")
    assert lab.written == {ORDERS.unique_id: "error"}


def test_without_a_run_before_result_means_nothing(lab: Lab) -> None:
    """It says so."""
    with pytest.raises(AirflowFailException, match="there is none that has ended and built something"):
        choose(lab.site, asked(), options(select="result:error"), "bronze.build")
