"""What a run with a selection leaves out: asked of dbt once, shown as skipped, and known to later builds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from tests.builders import plan_of, planned_build, planned_node
from tests.said_dbt import SaidDbt, event, lake_target, listed, said_dbt
from tests.sites import StatedSite, site_of

from goldsmith.engine.shared import left_out
from goldsmith.engine.shared.left_out import choose, left_by_first
from goldsmith.errors import EnvironmentProblem
from goldsmith.results.record import NodeResult
from goldsmith.spec.run import RunOptions

ORDERS = planned_node("model.shop.orders", layer="bronze", build="bronze.build")
CHECK = planned_node("test.shop.check", layer="bronze", build="bronze.build", task_id="bronze.orders")
REPORT = planned_node("model.shop.report", layer="silver", build="silver.build")
BUILDS = (planned_build("bronze"), planned_build("silver"))
PLAN = plan_of((ORDERS, CHECK, REPORT), builds=BUILDS, layers=("bronze", "silver"))
EARLIER = ("running", "dry", "r7", "r6")
"""The runs before the run r9, the latest first."""


@dataclass
class Skips:
    """Airflow's way to skip tasks."""

    skipped: list[str] = field(default_factory=list)
    is_open: bool = False

    def connect(self) -> Any:
        """Open it."""
        self.is_open = True
        return self

    def mark_as(self, state: str, dag_id: str, run_id: str, task_ids: Iterable[str]) -> tuple[str, ...]:
        """Note what is skipped."""
        assert (state, dag_id, run_id, self.is_open) == ("skipped", "shop", "r9", True)
        self.skipped += task_ids
        return tuple(task_ids)

    def close(self) -> None:
        """Close it."""
        self.is_open = False


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


@dataclass
class Lab:
    """A site whose dbt answers as the test says, and what is skipped."""

    site: StatedSite
    dbt: SaidDbt
    skips: Skips = field(default_factory=Skips)
    builds: Builds = field(default_factory=Builds)

    def choose(self, task_id: str = "bronze.build", **given: Any) -> frozenset[str] | None:
        """The tasks that a build finds chosen, in a run with these parameters."""
        options = RunOptions.parse(given, target="prod")
        return choose(self.site, self.context, options, task_id, connect=self.skips.connect)

    @property
    def context(self) -> Any:
        """Of a build of the run r9."""
        return {"run_id": "r9", "ti": self.builds}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A run after others."""
    runs = [SimpleNamespace(run_id=one, is_finished=one != "running") for one in ("r9", *EARLIER)]
    api = SimpleNamespace(runs=lambda *_, **__: runs)
    monkeypatch.setattr(left_out, "airflow_api", lambda: nullcontext(api))
    with lake_target(tmp_path) as target, said_dbt(tmp_path) as dbt:
        yield Lab(site_of(PLAN, tmp_path, target=target), dbt)


def test_a_run_of_everything_asks_nobody(lab: Lab) -> None:
    """And skips nothing."""
    assert lab.choose(threads=2) is None
    assert (lab.dbt.arguments, lab.skips.skipped) == ([], [])


def test_the_first_build_asks_and_the_others_read_what_it_has_left(lab: Lab) -> None:
    """A task with several nodes is chosen with any of them; dbt is asked once."""
    lab.dbt.lines = (listed(CHECK.unique_id),)
    chosen = lab.choose(select="check")
    assert chosen == frozenset({"bronze.orders"})
    assert (lab.skips.skipped, lab.skips.is_open) == (["silver.report"], False)
    ls = lab.dbt.arguments[lab.dbt.arguments.index("ls") :]
    assert (ls[ls.index("--select") + 1], ls[ls.index("--indirect-selection") + 1]) == ("check", "eager")
    lab.dbt.lines = (listed(REPORT.unique_id),)
    assert lab.choose("silver.build", select="check") == chosen
    assert left_by_first(lab.site, lab.context) == chosen


def test_a_build_whose_first_one_has_said_nothing_asks_itself(lab: Lab) -> None:
    """It was cleared alone, say; it skips nothing then."""
    lab.dbt.lines = (listed(REPORT.unique_id),)
    assert lab.choose("silver.build", exclude="orders") == frozenset({"silver.report"})
    assert lab.skips.skipped == []


def test_a_dry_run_builds_nothing_and_says_what_it_would(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Without a selection dbt need not be asked."""
    with caplog.at_level("INFO"):
        assert lab.choose(dry_run=True) == frozenset()
    assert lab.dbt.arguments == []
    assert lab.skips.skipped == ["bronze.orders", "silver.report"]
    assert "It would build:" in caplog.text
    assert "report" in caplog.text


@pytest.mark.parametrize(
    ("lines", "code", "error", "expected"),
    [
        ([event("NoNodesForSelectionCriteria", spec_raw="ordrs")], 0, AirflowFailException, "ordrs"),
        ([listed("model.other.x")], 0, AirflowFailException, "leaves nothing of shop to build"),
        ([event("MainReport", level="error", msg="No such tag")], 2, AirflowFailException, "No such tag"),
        ([], -9, EnvironmentProblem, "dbt could not say what the selection means"),
    ],
)
def test_what_means_nothing_ends_the_run_and_what_was_killed_may_be_tried_again(
    lab: Lab, lines: list[str], code: int, error: type[Exception], expected: str
) -> None:
    """Before anything is skipped."""
    lab.dbt.lines, lab.dbt.code = tuple(lines), code
    with pytest.raises(error, match=expected):
        lab.choose(select="ordrs")
    assert lab.skips.skipped == []


def test_result_means_the_last_run_that_has_ended_and_built_something(
    lab: Lab, result: Callable[..., NodeResult]
) -> None:
    """Not this one, nor one that goes on, nor a dry one; a stale source counts as an error."""
    kept = {"unique_id": ORDERS.unique_id, "task_id": ORDERS.task_id}
    for run, status in (("r9", "fail"), ("running", "skipped"), ("r7", "runtime error"), ("r6", "success")):
        lab.site.results.keep(run, [result(**kept, status=status)], is_first=True)
    lab.dbt.lines = (listed(ORDERS.unique_id),)
    lab.choose(select="result:error")
    [entry] = json.loads(lab.dbt.state("run_results.json"))["results"]
    assert (entry["unique_id"], entry["status"]) == (ORDERS.unique_id, "error")


def test_without_a_run_before_result_means_nothing(lab: Lab) -> None:
    """It says so."""
    with pytest.raises(AirflowFailException, match="there is none that has ended and built something"):
        lab.choose(select="result:error")


def test_state_means_the_manifest_that_the_pipeline_names(lab: Lab, tmp_path: Path) -> None:
    """Without one it means nothing."""
    with pytest.raises(AirflowFailException, match="the pipeline names none"):
        lab.choose(select="state:modified")
    lab.site.compared_with = tmp_path / "production.json"
    lab.site.compared_with.write_text("of production")
    lab.dbt.lines = (listed(ORDERS.unique_id),)
    assert lab.choose(select="state:modified") == frozenset({"bronze.orders"})
    assert lab.dbt.state("manifest.json") == "of production"
