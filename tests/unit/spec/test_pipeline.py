"""Bad specs get texts that lead to the right line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from goldsmith.errors import SpecError
from goldsmith.spec.files import read_spec
from goldsmith.spec.pipeline import Pipeline


def test_the_defaults_are_those_of_the_readme() -> None:
    """Hourly, bounded, models retried and tests not."""
    spec = Pipeline(name="shop")
    assert list(spec.layers) == ["bronze", "silver", "gold"]
    assert (spec.schedule, spec.max_active_runs, spec.catchup) == ("@hourly", 1, False)
    assert (spec.retries.models, spec.retries.tests) == (2, 0)
    assert (spec.retries.delay, spec.retries.max_delay) == (timedelta(minutes=5), timedelta(minutes=30))
    assert (spec.task_timeout, spec.run_timeout) == (timedelta(minutes=30), timedelta(hours=2))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "shop", "scedule": "@daily"}, "scedule: unknown key. Did you mean schedule"),
        ({"name": "shop", "retries": {"modls": 1}}, "retries.modls: unknown key. Did you mean models"),
        ({"name": "shop", "zzz": 1}, "zzz: unknown key. Valid keys: after, "),
        ({"name": "Shop-1"}, "'Shop-1' is not a name"),
        ({"name": "dbt_shop"}, "takes for a plugin"),
        ({"name": "shop", "task_timeout": "soon"}, "'soon' is not a duration"),
        ({"name": "shop", "task_timeout": 30}, "30 is not a duration"),
        ({"name": "shop", "task_timeout": "99999999999d"}, "is longer than any time there is"),
        ({"name": "shop", "schedule": "every day"}, "'every day' is no schedule: write five fields of cron"),
        ({"name": "shop", "schedule": "@once", "window": "1d"}, "`schedule: @once` cover no `window`"),
        ({"name": "shop", "schedule": "@hourly", "window": "1d"}, "comes 1:00:00 after the one before"),
        ({"name": "shop", "schedule": "0 0 * * 1", "window": "1d"}, "comes 7 days, 0:00:00 after"),
        ({"name": "shop", "schedule": "@quarterly", "window": "90d"}, "windows would overlap or leave gaps"),
        ({"name": "shop", "run_timeout": "0s"}, "run_timeout: nothing can run in no time"),
        ({"name": "shop", "gate": "maybe"}, "gate: Input should be 'layer' or 'node'"),
        (
            {"name": "shop", "tasks": "modl"},
            "tasks: Input should be 'auto', 'test', 'model_tests' or 'model'",
        ),
        ({"name": "shop", "engine": "isolated", "tasks": "model"}, "`engine: shared`, or `tasks: test`"),
        ({"name": "shop", "layers": {"sources": "tag:x"}}, "'sources' cannot name a layer"),
        ({"name": "shop", "layers": {"run_report": "tag:x"}}, "'run_report' cannot name a layer"),
        ({"name": "shop", "layers": {"l" * 61: "tag:x"}}, "a letter first, at most 60"),
        (
            {"name": "s" * 201},
            "is not a name: lower case letters, digits and underscores, a letter first, at most 200",
        ),
        (
            {"name": "shop", "retries": {"models": -1}},
            "retries.models: Input should be greater than or equal to 0",
        ),
        ({}, "name: Field required"),
        (["name"], "holds no mapping"),
    ],
)
def test_a_fault_is_named_with_its_place(values: Any, said: str) -> None:
    """One line per fault: where it is, what is wrong, the nearest valid key."""
    with pytest.raises(SpecError) as caught:
        Pipeline.parse(values)
    assert said in str(caught.value)


@pytest.mark.parametrize("other", ["data_lake.orders", "archive.orders"])
def test_two_ingests_of_one_table_are_refused(other: str) -> None:
    """They would overwrite each other, or each other's tasks."""
    one = {"source": "data_lake.orders", "file": "a.csv", "key": ["id"], "columns": ["id"]}
    with pytest.raises(SpecError, match=r"two ingests fill a table of one name: .*data_lake\.orders"):
        Pipeline.parse({"name": "shop", "ingest": [one, {**one, "source": other, "file": "b.csv"}]})


def test_yaml_that_is_missing_or_broken_is_said(tmp_path: Path) -> None:
    """The path stands in both texts."""
    path = tmp_path / "shop.yml"
    with pytest.raises(SpecError, match=f"No pipeline spec at {path}"):
        read_spec(path)
    path.write_text("name: [", encoding="utf-8")
    with pytest.raises(SpecError, match="is not YAML"):
        read_spec(path)
    path.write_text("name: shop\nlayers: {a: tag:x, b: tag:y, a: tag:z}\n")
    with pytest.raises(SpecError, match="'a' is written twice"):
        read_spec(path)


@pytest.mark.parametrize("written", ["off", "'off'", "Off"])
def test_freshness_is_off_as_the_docs_write_it(tmp_path: Path, written: str) -> None:
    """YAML reads `off` without quotes as false."""
    path = tmp_path / "shop.yml"
    path.write_text(f"name: shop\nfreshness: {written}\n")
    assert read_spec(path).freshness == "off"


def test_a_spec_that_is_no_text_and_a_value_that_nothing_is_are_said(tmp_path: Path) -> None:
    """With the file, and what it has to be."""
    path = tmp_path / "shop.yml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(SpecError, match=r"shop.yml cannot be read: .*\nIt has to be a text file in UTF-8."):
        read_spec(path)
    path.write_text("name: shop\nstart_date: 2026-02-30\n")
    with pytest.raises(SpecError, match="is not YAML: it has a value that cannot be read"):
        read_spec(path)
    path.write_text("defaults: &usual {models: 1}\nname: shop\nretries: {<<: *usual, tests: 1}\n")
    with pytest.raises(SpecError, match=r"defaults \(line 1\): unknown key"):
        read_spec(path)


def test_lengths_of_time_are_written_with_a_unit() -> None:
    """Or, in Python, as what they are."""
    assert Pipeline(name="shop", run_timeout=timedelta(hours=3)).run_timeout == timedelta(hours=3)
    assert Pipeline.parse({"name": "shop", "run_timeout": "90m"}).run_timeout == timedelta(minutes=90)
    with pytest.raises(SpecError, match="90 is not a duration: write a number and s, m, h or d"):
        Pipeline.parse({"name": "shop", "run_timeout": 90})


def test_types_of_nodes_are_left_out_by_the_spec_and_by_a_variable() -> None:
    """One may be written alone; both count."""
    spec = Pipeline.parse({"name": "shop", "exclude_resource_types": "snapshot"})
    assert spec.without_types([]).exclude_resource_types == ("snapshot",)
    assert spec.without_types(["test"]).exclude_resource_types == ("snapshot", "test")
    plain = Pipeline(name="shop")
    assert plain.without_types([]) is plain


def test_the_profile_of_dbt_has_what_the_connection_does_not_say() -> None:
    """More keys go along as they are."""
    spec = Pipeline.parse({"name": "shop", "profile": {"schema": "shop", "extra": {"catalog": "main"}}})
    assert spec.profile.for_dbt() == {"schema": "shop", "threads": 4, "catalog": "main"}
