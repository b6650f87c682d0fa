"""The dbt command lines of a run, and the private folder that they work in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cosmos
import pytest
from tests.builders import dbt_target, planned_node
from tests.said_dbt import lake_target

from goldsmith.engine.dbt.workspace import (
    SESSION_VARIABLE,
    DbtTarget,
    Workspace,
    keep_parsed,
    take_parsed,
    workspace,
)
from goldsmith.results.microbatch import Microbatches
from goldsmith.spec.run import RunOptions

ORDERS = planned_node("model.shop.orders", file="models/silver/orders.sql")
BEGUN = Microbatches(planned=("2026-11-20", "2026-11-21"), built=frozenset({"2026-11-20"}))


def space_in(folder: Path, variables: dict[str, Any] | None = None, **asked: Any) -> Workspace:
    """A workspace of a run with these parameters."""
    target = dbt_target(folder, variables=variables or {})
    options = RunOptions.parse(asked, target="dev")
    return Workspace(target=target, folder=folder, profiles_dir=folder, env={}, options=options)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [({}, {"region": "emea", "days": 3}), ({"days": 7}, {"region": "emea", "days": 7})],
)
def test_every_command_has_the_pipelines_variables_and_over_them_those_of_the_run(
    tmp_path: Path, asked: dict[str, object], expected: dict[str, object]
) -> None:
    """A command without them would build other nodes than the plan has."""
    space = space_in(tmp_path, {"region": "emea", "days": 3}, vars=asked)
    commands = [
        space.command(["build"], ["model.shop.orders"]),
        space.command(["source", "freshness"], ["source.shop.raw.orders"]),
        space.retry_command("build", {"model.shop.orders": BEGUN}),
        space.plain_command(["ls"]),
        space.plain_command(["docs", "generate"]),
    ]
    for command in commands:
        assert command.count("--vars") == 1
        assert json.loads(command[command.index("--vars") + 1]) == expected


def test_a_command_selects_its_nodes_by_a_file_and_nothing_beside_them(tmp_path: Path) -> None:
    """dbt's own way to add tests is off where it has one."""
    space = space_in(tmp_path)
    for verb, is_off in (("build", True), ("test", True), ("source freshness", False)):
        command = space.command(verb.split(), [ORDERS.unique_id])
        assert command[command.index("--select") + 1] == "result:success"
        assert ("--indirect-selection" in command) == is_off
        state = Path(command[command.index("--state") + 1], "run_results.json")
        [entry] = json.loads(state.read_text())["results"]
        assert (entry["unique_id"], entry["status"]) == (ORDERS.unique_id, "success")


@pytest.mark.parametrize(
    ("asked", "of_build", "of_test"),
    [
        ({}, "", ""),
        ({"threads": 8}, "--threads 8", "--threads 8"),
        ({"full_refresh": True, "fail_fast": True}, "--full-refresh --fail-fast", ""),
        (
            {
                "event_time_start": "2026-11-01",
                "event_time_end": datetime(2026, 11, 2, 1, tzinfo=timezone(timedelta(hours=2))),
            },
            "--event-time-start 2026-11-01T00:00:00 --event-time-end 2026-11-01T23:00:00",
            "",
        ),
    ],
)
def test_what_was_asked_of_a_run_is_on_the_command_lines_that_know_it(
    tmp_path: Path, asked: dict[str, Any], of_build: str, of_test: str
) -> None:
    """Moments in UTC, which dbt takes them for."""
    space, usual = space_in(tmp_path, **asked), space_in(tmp_path)
    for verb, expected in (("build", of_build), ("test", of_test)):
        given, plain = space.command([verb], []), usual.command([verb], [])
        assert " ".join(one for one in given if one not in plain) == expected


def test_a_retry_is_a_command_without_a_selection_that_reads_all_from_a_file(tmp_path: Path) -> None:
    """What its command was asked for holds for it, but for a full refresh."""
    space = space_in(tmp_path, threads=8, full_refresh=True, fail_fast=True)
    command = space.retry_command("build", {ORDERS.unique_id: BEGUN})
    assert not {"--select", "--full-refresh", "--fail-fast", "--threads", "--vars"} & set(command)
    assert command[command.index("retry") + 1 : command.index("retry") + 3] == [
        "--state",
        str(tmp_path / "state"),
    ]
    document = json.loads((tmp_path / "state" / "run_results.json").read_text())
    assert [one["unique_id"] for one in document["results"]] == [ORDERS.unique_id]
    settings = document["args"]
    assert (settings["which"], settings["threads"], settings["fail_fast"]) == ("build", "8", True)
    assert (settings["profile"], settings["target"]) == ("shop", "prod")
    assert "full_refresh" not in settings


def test_variables_that_dbt_would_read_otherwise_reach_a_retry_by_its_file_alone(tmp_path: Path) -> None:
    """A null is text to it on the command line."""
    space = space_in(tmp_path, {"until": None})
    assert "--vars" not in space.retry_command("build", {ORDERS.unique_id: BEGUN})
    settings = json.loads((tmp_path / "state" / "run_results.json").read_text())["args"]
    assert json.loads(settings["vars"]) == {"until": None}


def test_a_nodes_sql_is_found_where_dbt_writes_it(tmp_path: Path) -> None:
    """Of a test in the folder of its file; of a model with missing batches, that of the first of them."""
    space, folder = space_in(tmp_path), tmp_path / "target/compiled/shop/models/silver"
    check = planned_node("test.shop.unique_id", file="models/silver/schema.yml")
    for name, sql in (
        ("orders.sql", "select 1\n"),
        ("schema.yml/unique_id.sql", "select 2"),
        ("orders/orders_2026-11-21.sql", "select 3"),
        ("broken.sql", ""),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(sql)
    (folder / "broken.sql").write_bytes(b"\xff")
    assert space.compiled_sql(ORDERS, "silver/orders.sql") == "select 1"
    assert space.compiled_sql(check, "unique_id.sql") == "select 2"
    assert space.compiled_sql(ORDERS, "silver/orders.sql", batches=BEGUN) == "select 3"
    assert space.compiled_sql(replace(ORDERS, file="models/silver/broken.sql"), "broken.sql") == ""
    assert space.compiled_sql(replace(ORDERS, file="models/silver/absent.sql"), "absent.sql") == ""


@pytest.mark.parametrize(
    ("there", "expected"),
    [(("task", "manifest"), "task"), (("manifest",), "manifest"), ((), "")],
)
def test_a_command_starts_from_what_was_parsed_last(
    tmp_path: Path, there: tuple[str, ...], expected: str
) -> None:
    """By a task, else by `goldsmith manifest`: a developer's own may be of another profile."""
    folders = {"task": tmp_path / "cache" / "target", "manifest": tmp_path / "parsed"}
    for name in there:
        folders[name].mkdir(parents=True)
        (folders[name] / "partial_parse.msgpack").write_text(name)
    target = tmp_path / "fresh" / "target"
    take_parsed(target, cache_dir=tmp_path / "cache", parsed_dir=folders["manifest"])
    found = target / "partial_parse.msgpack"
    assert (found.read_text() if found.exists() else "") == expected
    assert target.exists() == bool(expected)
    take_parsed(tmp_path / "none", cache_dir=None, parsed_dir=None)
    assert not (tmp_path / "none").exists()


def test_what_a_command_parsed_is_kept_for_the_next(tmp_path: Path) -> None:
    """Nothing, where it parsed nothing."""
    cache, target = tmp_path / "cache", tmp_path / "target"
    keep_parsed(target, cache_dir=cache)
    assert not cache.exists()
    target.mkdir()
    (target / "partial_parse.msgpack").write_text("parsed")
    keep_parsed(target, cache_dir=cache)
    assert (cache / "target" / "partial_parse.msgpack").read_text() == "parsed"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DbtTarget]:
    """A target whose dbt keeps what it parsed in the test's folder."""
    monkeypatch.setattr(cosmos.settings, "cache_dir", tmp_path / "cache")
    with lake_target(tmp_path) as target:
        yield target


@pytest.mark.parametrize(("asked", "is_kept"), [({}, True), ({"days": 7}, False)])
def test_what_a_run_with_variables_of_its_own_parses_is_no_use_to_others(
    lake: DbtTarget, asked: dict[str, Any], *, is_kept: bool
) -> None:
    """dbt would parse anew what it finds."""
    with workspace(lake, session="s", env={}, options=RunOptions(vars=asked)) as space:
        (space.folder / "target").mkdir()
        (space.folder / "target" / "partial_parse.msgpack").write_text("parsed")
        space.keep_parsed()
    assert (lake.cache_dir / "target" / "partial_parse.msgpack").exists() == is_kept


@pytest.mark.parametrize("text", ["name: shop", "flags: {fail_fast: true}"])
def test_a_workspace_has_a_profile_and_what_was_parsed_and_is_removed(lake: DbtTarget, text: str) -> None:
    """Secrets are in the environment, not in the file; the project may ask for `fail_fast` of all its commands."""
    (lake.project_dir / "dbt_project.yml").write_text(text)
    (lake.cache_dir / "target").mkdir(parents=True)
    (lake.cache_dir / "target" / "partial_parse.msgpack").write_text("parsed")
    with workspace(lake, session="tag", env={"JOB_ID": "shop"}, options=RunOptions()) as space:
        assert (space.folder / "target" / "partial_parse.msgpack").read_text() == "parsed"
        profile = (space.profiles_dir / "profiles.yml").read_text()
        assert "schema: silver" in profile
        assert "a token" not in profile
        assert "a token" in space.env.values()
        assert (space.env[SESSION_VARIABLE], space.env["JOB_ID"]) == ("tag", "shop")
        assert space.options.fail_fast == ("fail_fast" in text)
    assert not space.folder.exists()


def test_a_profile_may_have_another_name_and_schema(lake: DbtTarget) -> None:
    """Elementary's, which writes beside the pipeline; what only one run may write is the pipeline's own."""
    own, other = lake.profile(), lake.profile(name="elementary", schema="audit")
    assert (own.profile_name, own.profile_args) == ("shop", {"schema": "silver"})
    assert (other.profile_name, other.profile_args) == ("elementary", {"schema": "audit"})
    assert lake.writes_to == "shop/prod/silver"
