"""Both engines on DuckDB: a warehouse that Goldsmith asks through dbt, and whose file belongs to one process."""

from __future__ import annotations

import duckdb
import pytest
from tests.integration.shared_lab import Lab, Seen

from goldsmith.results.record import FailingRows

pytestmark = pytest.mark.integration

PIPELINES = ("ducks", "ducks_alone")
RATES, PRICED, NOT_NULL = "bronze.rates.run", "silver.priced.run", "bronze.people.not_null_customer"
PEOPLE, GATE = "bronze.people.run", "bronze.gate"


@pytest.fixture(scope="module")
def green(ducks: Lab) -> dict[str, Seen]:
    """A run of each engine, at the same time on the same file."""
    decide(ducks, unknown=-1, broken=0)
    return ducks.finished(ducks.start(PIPELINES))


@pytest.fixture(scope="module")
def red(ducks: Lab, green: dict[str, Seen]) -> dict[str, Seen]:  # noqa: ARG001 - it comes after
    """A run of each engine in which a model failed, and a test that the gate lets pass."""
    decide(ducks, unknown=0, broken=1)
    return ducks.finished(ducks.start(PIPELINES))


def decide(ducks: Lab, **values: int) -> None:
    """Say what fails."""
    lines = "".join(f"{key},{value}\n" for key, value in values.items())
    (ducks.stack.root / "control.csv").write_text(f"key,value\n{lines}")


def gate_rules(ducks: Lab, seen: Seen) -> dict[str, tuple[object, object]]:
    """Rule to measured value and outcome, of the gate after bronze."""
    verdict = ducks.api.xcom(seen.run.dag_id, seen.run.run_id, GATE)
    return {one["rule"]: (one["measured"], one["outcome"]) for one in verdict["rules"]}


def test_all_is_green_and_stands_in_the_file(ducks: Lab, green: dict[str, Seen]) -> None:
    """With both engines, which take turns with the file."""
    assert {pipeline: seen.not_green for pipeline, seen in green.items()} == {
        pipeline: {} for pipeline in PIPELINES
    }
    with duckdb.connect(str(ducks.stack.root / "lake.duckdb"), read_only=True) as file:
        found = file.execute(
            "select table_schema, table_name, table_type from information_schema.tables"
        ).fetchall()
    assert {
        (f"{pipeline}_{layer}", name, "VIEW" if name == "days" else "BASE TABLE")
        for pipeline in PIPELINES
        for layer, names in (("bronze", ("days", "people", "rates")), ("silver", ("priced", "summary")))
        for name in names
    } == set(found)


def test_a_gate_measures_rows_and_nulls_through_dbt(
    ducks: Lab, green: dict[str, Seen], red: dict[str, Seen]
) -> None:
    """What it compares with is not kept there, and it says so."""
    for pipeline in PIPELINES:
        assert gate_rules(ducks, green[pipeline]) == {
            "failed_models": (0, "pass"),
            "failed_tests": (0, "pass"),
            "stale_sources": (0, "pass"),
            "rows of people": (3.0, "pass"),
            "change of rows of people": (None, "not measured"),
            "nulls in people.customer": (0.0, "pass"),
        }
        rules = gate_rules(ducks, red[pipeline])
        assert rules["nulls in people.customer"] == (pytest.approx(1 / 3), "pass")
        assert rules["failed_tests"] == (1, "pass")


def test_the_rows_that_failed_a_test_are_shown(red: dict[str, Seen]) -> None:
    """Asked for when dbt has ended, because the file is dbt's until then."""
    for pipeline in PIPELINES:
        [kept] = red[pipeline].records[NOT_NULL]
        assert kept.failing_rows == FailingRows(columns=("customer",), rows=(("NULL",),)), pipeline


def test_what_cannot_be_done_is_named_once_in_a_run(ducks: Lab, green: dict[str, Seen]) -> None:
    """In the log of its first task, and on the DAG's page; nothing fails for it."""
    said = "In duckdb Goldsmith cannot keep two runs from writing at once"
    for pipeline, seen in green.items():
        assert ducks.warnings(seen.run, said) == 1, pipeline
        page = ducks.api.send("GET", f"/api/v2/dags/{pipeline}/details")["doc_md"]
        assert "**In duckdb Goldsmith cannot**" in page


def test_a_failed_model_is_retried_alone(ducks: Lab, red: dict[str, Seen]) -> None:
    """What failed blocked the gate; cleared, it is built with what the gate held back, and nothing else."""
    decide(ducks, unknown=0, broken=0)
    for before in red.values():
        assert before.run.state == "failed"
        assert (before.states[RATES], before.states[PRICED]) == ("failed", "upstream_failed")
        assert "rates is broken 0" in ducks.log(before.run, before.tasks[RATES])
        ducks.clear(before.run, [RATES], include_downstream=True)
    for pipeline, after in ducks.finished({pipeline: before.run for pipeline, before in red.items()}).items():
        assert after.run.state == "success"
        assert after.not_green == {NOT_NULL: "failed"}  # the gate lets it pass
        assert {RATES, PRICED} <= set(after.built_since(red[pipeline]))
        assert not {PEOPLE, NOT_NULL} & set(after.built_since(red[pipeline]))


def test_a_table_that_somebody_drops_is_noticed(ducks: Lab, green: dict[str, Seen]) -> None:
    """The comparison asks dbt's adapter what there is."""
    run = green["ducks"].run
    with duckdb.connect(str(ducks.stack.root / "lake.duckdb")) as file:
        file.execute("drop table ducks_silver.summary")
    ducks.clear(run, ["silver.reconcile"])
    after = ducks.finished({"ducks": run})["ducks"]
    assert after.states["silver.reconcile"] == "failed"
    said = ducks.log(run, after.tasks["silver.reconcile"])
    assert "should be a table, the warehouse has nothing there" in said
