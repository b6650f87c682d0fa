"""Warehouses beside PostgreSQL: what Goldsmith can do there is declared, shown and true, and nothing raises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from tests.contract.warehouses import WAREHOUSES, Known, table, without

from goldsmith.dbt.profile import profile_mapping
from goldsmith.warehouse.base import Capability, Warehouse
from goldsmith.warehouse.choose import class_of, kind_of, missing, warehouse_of

each = pytest.mark.parametrize("known", WAREHOUSES, ids=lambda known: known.kind)
others = pytest.mark.parametrize(
    "known",
    [one for one in WAREHOUSES if one.kind not in ("postgres", "databricks")],
    ids=lambda known: known.kind,
)


@pytest.fixture(autouse=True)
def _fresh_kinds() -> None:
    kind_of.cache_clear()


@pytest.fixture
def connection(known: Known, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of an Airflow connection of the warehouse."""
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(known.connection))
    return "other"


def test_the_page_has_the_table(repository: Path) -> None:
    """Made of the classes, so that the page cannot promise more."""
    page = (repository / "docs" / "warehouses.md").read_text(encoding="utf-8")
    assert f"{table()}\n" in page
    assert f"{without()}\n" in page


def test_what_a_warehouse_can_do_is_what_its_class_overrides() -> None:
    """PostgreSQL can do everything; a class that overrides nothing can do nothing."""
    assert missing("postgres") == []
    assert Warehouse.capabilities() == frozenset()
    assert [one.name for one in missing("snowflake")] == [
        "VERDICTS",
        "ONE_WRITER",
        "CANCEL_NODE",
        "END_SESSIONS",
        "LOAD",
    ]
    methods = {one.method for one in Capability}
    assert len(methods) == len(Capability)
    assert methods <= set(dir(Warehouse))


@each
def test_dbt_gets_a_profile_without_secrets(known: Known, connection: str) -> None:
    """From the Airflow connection, with the adapter's type."""
    mapping = profile_mapping(connection, {"schema": "analytics", "threads": 4, **known.profile})
    profile = mapping.get_profile_file_contents(profile_name="shop", target_name="prod")
    assert re.search(rf"type: {known.kind}\b", profile), profile
    assert "secret-of-the-warehouse" not in profile
    output = yaml.safe_load(profile)["shop"]["outputs"]["prod"]
    # Two names of one key: dbt takes one of them, and refuses both.
    assert [output[name] for name in ("schema", "dataset") if name in output] == ["analytics"]


@others
def test_nothing_raises_for_a_warehouse_that_only_dbt_knows(known: Known, connection: str) -> None:
    """What it cannot do it does not try; what it can it asks dbt, in as few questions as there are things."""
    asked: list[list[str]] = []
    answers = {"counts": ["2", "1"], "found.type": "view", "limit_subquery": [["id"], [["7"]]]}

    def ask(questions: list[str], timeout: float) -> list[object]:
        assert timeout > 60
        asked.append(questions)
        return [answers[re.findall("counts|found.type|limit_subquery", one)[0]] for one in questions]

    warehouse = warehouse_of(connection, ask)  # type: ignore[arg-type]
    assert type(warehouse) is class_of(known.kind)
    relations = ['"db"."s"."orders"', "`db`.`s`.`Ab c`", "DB.S.ORDERS", "s.orders"]
    assert warehouse.relation_kinds(relations) == dict.fromkeys(relations, "view")
    assert warehouse.relation_kinds([]) == {}
    measured = warehouse.measure({"db.s.orders": ["id"]})["db.s.orders"]
    assert (measured.rows, measured.filled) == (2, {"id": 1})
    [rows] = warehouse.sample_rows(["select 1 -- all"], limit=5, timeout=1)
    assert rows is not None
    assert (rows.columns, rows.rows) == (("id",), (("7",),))
    assert [len(questions) for questions in asked] == [4, 1, 1]
    with warehouse.writer(target="shop", run="r1", exclusive=True, on_wait=pytest.fail) as own:
        assert own.is_held()
    assert warehouse.end_sessions("tag", timeout=1) == 0
    assert warehouse.cancel_node("tag", "model.shop.orders") == 0
    assert warehouse.session_options() == {}
