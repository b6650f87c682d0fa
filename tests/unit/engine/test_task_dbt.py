"""dbt for a task: a real command in a folder of its own, of a program in the place of dbt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.builders import plan_of, planned_build, planned_node
from tests.said_dbt import SaidDbt, lake_target, said_dbt
from tests.sites import StatedSite, site_of
from tests.unit.dbt.test_events import line

from goldsmith.engine import task_dbt
from goldsmith.engine.task_dbt import dbt_for, dbt_workspace, name_what_is_missing, note_slow_node
from goldsmith.errors import DbtStopped, EnvironmentProblem
from goldsmith.results.record import NodeResult
from goldsmith.spec.run import RunOptions
from goldsmith.warehouse.databricks import DatabricksWarehouse

ORDERS = planned_node("model.shop.orders", slow_after=90)
FINISHED = line(
    "NodeFinished",
    node_info={
        "unique_id": ORDERS.unique_id,
        "resource_type": "model",
        "node_path": "orders.sql",
        "materialized": "view",
        "node_started_at": "2026-11-20T13:00:00",
        "node_finished_at": "2026-11-20T13:00:01",
        "node_relation": {"relation_name": "silver.orders"},
    },
    run_result={"status": "success", "message": "OK", "execution_time": 1.0},
)


@dataclass
class Notes:
    """Airflow's way to put a note on a run."""

    is_away: bool = False
    texts: list[tuple[str, str, str]] = field(default_factory=list)

    def note_on_run(self, dag_id: str, run_id: str, text: str) -> None:
        """Take a note."""
        if self.is_away:
            raise EnvironmentProblem("Airflow does not answer.")
        self.texts.append((dag_id, run_id, text))


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    """Of the run."""
    made = Notes()
    monkeypatch.setattr(task_dbt, "airflow_api", lambda: nullcontext(made))
    return made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[StatedSite]:
    """On a warehouse that needs no server."""
    with lake_target(tmp_path) as target:
        yield site_of(plan_of((ORDERS,)), tmp_path, target=target)


@pytest.fixture
def dbt(tmp_path: Path) -> Iterator[SaidDbt]:
    """It builds the model."""
    with said_dbt(tmp_path) as said:
        said.lines = (FINISHED,)
        yield said


def test_a_task_runs_dbt_with_a_name_for_its_sessions_and_its_run(site: StatedSite, dbt: SaidDbt) -> None:
    """And takes what it says, as the task that built it."""
    found: list[NodeResult] = []
    with dbt_for(site, "r1", "silver.build", RunOptions(threads=3)) as made:
        made.on_turn = found.extend
        made.run("build", [ORDERS])
    assert [(one.unique_id, one.status, one.built_by) for one in found] == [
        (ORDERS.unique_id, "success", "silver.build")
    ]
    assert dbt.arguments[dbt.arguments.index("--threads") + 1] == "3"
    assert dbt.env["PGAPPNAME"] == site.writer.session("r1", "silver.build")
    assert (dbt.env["JOB_RUN_ID"], dbt.env["DBT_ENV"]) == ("r1", "prod")
    assert "PGOPTIONS" not in dbt.env


@pytest.mark.parametrize(("status", "is_kept"), [("success", True), ("error", False)])
def test_a_task_that_is_no_longer_the_writer_keeps_what_is_good_and_stops(
    site: StatedSite, dbt: SaidDbt, status: str, *, is_kept: bool
) -> None:
    """What failed may have failed for the same reason."""
    found: list[NodeResult] = []
    dbt.lines = (FINISHED.replace('"success"', f'"{status}"'),)
    site.writer.is_lost = True
    with dbt_for(site, "r1", "silver.build", RunOptions()) as made:
        made.on_turn = found.extend
        with pytest.raises(DbtStopped, match="has ended the session"):
            made.run("build", [ORDERS])
    assert [one.unique_id for one in found] == ([ORDERS.unique_id] if is_kept else [])


def test_a_stale_source_is_what_the_pipeline_says(site: StatedSite, dbt: SaidDbt) -> None:
    """The policy of the site."""
    source = planned_node("source.shop.raw")
    dbt.lines = (FINISHED.replace(ORDERS.unique_id, source.unique_id).replace('"success"', '"error"'),)
    dbt.code, site.freshness = 1, "warn"
    found: list[NodeResult] = []
    with dbt_for(site, "r1", "silver.build", RunOptions()) as made:
        made.on_turn = found.extend
        made.run("source freshness", [source])
    assert [one.status for one in found] == ["warn"]


@pytest.mark.parametrize("options", ["", "-c client_connection_check_interval=1s"])
def test_the_warehouse_looks_after_dbts_sessions_where_it_can(
    site: StatedSite, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    """Where it cannot, dbt's environment stays as it is."""
    monkeypatch.setattr(
        DatabricksWarehouse, "session_options", lambda _: {"PGOPTIONS": options} if options else {}
    )
    with dbt_workspace(site, "r1", "silver.build", RunOptions()) as space:
        assert space.env.get("PGOPTIONS", "") == options
        assert ("PGOPTIONS" in space.env) == bool(options)


def test_a_node_over_its_limit_is_cancelled_by_the_name_of_dbts_sessions(
    site: StatedSite, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that takes long is told of."""
    asked = (site.writer.session("r1", "silver.build"), ORDERS.unique_id)
    monkeypatch.setattr(DatabricksWarehouse, "cancel_node", lambda _, *given: int(given == asked))
    with dbt_for(site, "r1", "silver.build", RunOptions()) as made:
        assert made.timeouts.cancel(ORDERS.unique_id) == 1
        made.timeouts.tell(ORDERS, 95.0)
    assert [run for _, run, _ in notes.texts] == ["r1"]


@pytest.mark.parametrize("is_away", [False, True])
def test_a_node_that_takes_long_is_told_of(
    site: StatedSite, notes: Notes, caplog: pytest.LogCaptureFixture, *, is_away: bool
) -> None:
    """In the log, on the run and to whoever has alerts; one way that fails does not take the others with it."""
    caplog.set_level("INFO")
    alerts: list[tuple[str, str, str]] = []
    site.on_slow = lambda run_id, node, text: alerts.append((run_id, node.name, text))
    notes.is_away = is_away
    note_slow_node(site, "r1", ORDERS, 95.4)
    text = "Slow: orders runs for more than 0:01:30 (silver.orders)."
    assert f"{text} It has run for 95 s." in caplog.text
    assert notes.texts == ([] if is_away else [("shop", "r1", text)])
    assert ("No note was put on the run: Airflow does not answer." in caplog.text) == is_away
    assert alerts == [("r1", "orders", text)]
    site.on_slow = None
    note_slow_node(site, "r1", ORDERS, 95.4)


@pytest.mark.parametrize("task_id", ["silver.build", "gold.build"])
def test_what_a_warehouse_cannot_do_is_named_in_the_first_task(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, task_id: str
) -> None:
    """Once in a run."""
    builds = (planned_build("silver"), planned_build("gold"))
    with lake_target(tmp_path) as target:
        site = site_of(plan_of((ORDERS,), builds=builds), tmp_path, target=target)
        name_what_is_missing(site, task_id)
    said = "In databricks Goldsmith cannot keep two runs from writing at once: only max_active_runs"
    assert (said in caplog.text) == (task_id == "silver.build")


@pytest.mark.parametrize("fail_fast", [True, False])
@pytest.mark.parametrize("word_first", [True, False])
def test_what_dbt_cancelled_has_not_failed_whenever_dbt_says_so(
    site: StatedSite, dbt: SaidDbt, *, fail_fast: bool, word_first: bool
) -> None:
    """It may say so after the node's end; a failure is the first one. Without `fail_fast` nothing waits."""
    slow = planned_node("model.shop.slow")
    failed = FINISHED.replace('"success"', '"error"')
    ended = failed.replace(ORDERS.unique_id, slow.unique_id)
    words = [
        line("LogCancelLine", level="error", msg="CANCEL", conn_name=one.unique_id) for one in (ORDERS, slow)
    ]
    dbt.lines = (failed, *words, ended) if word_first else (failed, ended, *words)
    dbt.code = 1
    found: list[NodeResult] = []
    with dbt_for(site, "r1", "silver.build", RunOptions(fail_fast=fail_fast)) as made:
        made.on_turn = found.extend
        made.run("build", [ORDERS, slow])
    assert {one.unique_id: one.status for one in found} == {
        ORDERS.unique_id: "error",
        slow.unique_id: "skipped" if fail_fast or word_first else "error",
    }
