"""The verdict of a gate on its way into the warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.builders import dbt_target, plan_of
from tests.sites import StatedSite, site_of

from goldsmith.engine.gate.verdict_table import table_of, write_verdict
from goldsmith.errors import ConfigurationError, EnvironmentProblem, GoldsmithError
from goldsmith.gate_rules.base import VERDICT_PASS, RuleResult
from goldsmith.gates.verdict import Verdict
from goldsmith.warehouse.choose import kind_of
from goldsmith.warehouse.postgres.warehouse import PostgresWarehouse

VERDICT = Verdict(
    layer="silver",
    verdict="pass",
    rules=(RuleResult(rule="failed_tests", measured=0.0, allowed="at most 0", outcome=VERDICT_PASS),),
    counts={"success": 3},
    stopped_by={},
)


@pytest.fixture
def site(tmp_path: Path) -> StatedSite:
    """With a target schema of its own."""
    target = dbt_target(tmp_path, connection="warehouse", profile_args={"schema": "silver"})
    return site_of(plan_of(()), tmp_path, target=target)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, list[Any]]]:
    """The statements that a PostgreSQL is sent."""
    made: list[tuple[str, str, list[Any]]] = []

    def run(to: PostgresWarehouse, statement: str, values: list[Any], *, name: str) -> list[tuple[Any, ...]]:
        assert name == "goldsmith gate"
        made.append((to.conn_id, statement, values))
        return []

    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", '{"conn_type": "postgres"}')
    kind_of.cache_clear()
    monkeypatch.setattr(PostgresWarehouse, "run", run)
    return made


def test_a_verdict_goes_into_the_schema_of_the_pipelines_models(
    site: StatedSite, sent: list[tuple[str, str, list[Any]]]
) -> None:
    """A row for each rule, with the pipeline and the run."""
    write_verdict(site, "r1", VERDICT)
    [(conn_id, statement, values)] = sent
    assert conn_id == "warehouse"
    assert statement.startswith('insert into "silver".goldsmith_gates values')
    assert (values[:3], values[4:6]) == (["shop", "r1", "silver"], ["failed_tests", 0.0])
    assert table_of(site).pipeline == "shop"


@pytest.mark.parametrize("error", [EnvironmentProblem("no answer"), ConfigurationError("no such kind")])
def test_a_verdict_that_cannot_be_written_changes_nothing_for_the_run(
    site: StatedSite,
    sent: list[tuple[str, str, list[Any]]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: GoldsmithError,
) -> None:
    """The log says it."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(PostgresWarehouse, "run", refuse)
    write_verdict(site, "r1", VERDICT)
    assert f"The verdict could not be written into the warehouse: {error}" in caplog.text
    assert sent == []


def test_a_warehouse_that_keeps_no_verdicts_is_asked_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to write them nor to read them, and the log has no warning for each gate."""
    monkeypatch.setenv("AIRFLOW_CONN_LAKEHOUSE", '{"conn_type": "duckdb", "host": "/nowhere/x.duckdb"}')
    site = site_of(plan_of(()), tmp_path, target=dbt_target(tmp_path, connection="lakehouse"))
    write_verdict(site, "r1", VERDICT)
    assert table_of(site).last_good("r1", "silver", ["failed_tests"]) == {}
