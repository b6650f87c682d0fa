"""What real dbt commands of a task make of hooks, of the project's flags and of variables on the worker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import psycopg
import pytest
import yaml
from tests.builders import dbt_target, planned_node

from goldsmith.dbt.environment import OVERRIDDEN
from goldsmith.engine.dbt.invocation import Invocations
from goldsmith.engine.dbt.timeouts import NodeTimeouts
from goldsmith.engine.dbt.workspace import workspace
from goldsmith.errors import DbtStopped
from goldsmith.masking import masked
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import NodeResult
from goldsmith.spec.run import RunOptions
from goldsmith.stack.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("warehouse_connections")]

GOOD, BAD, WARNS = "model.flagged.good", "model.flagged.bad", "test.flagged.warns"
SLOW = tuple(f"model.flagged.slow_{number}" for number in range(3))
LEAKS = "model.flagged.leaks"
FINE = {GOOD: "success", WARNS: "warn"}
BREAKS = "select * from there_is_no_such_table"
FILES = {
    "models/good.sql": "select 1 as id",
    "models/bad.sql": "select 1 / 0 as id",
    "models/leaks.sql": (
        "select '{{ env_var('PARTNER_KEY', 'none') }}'::int as id, '{{ var('api_token', 'none') }}' as token"
    ),
    **{f"models/{name.split('.')[-1]}.sql": "select 1 as id, pg_sleep(60)::text as slept" for name in SLOW},
    "tests/warns.sql": "{{ config(severity='warn') }} select * from {{ ref('good') }}",
}
TABLES = {"models": {"+materialized": "table"}}
HOSTILE = dict.fromkeys(OVERRIDDEN, "nonsense") | {
    "LOG_LEVEL": "error",
    "LOG_FORMAT": "text",
    "QUIET": "1",
    "EXCLUDE_RESOURCE_TYPES": "test",
    "RESOURCE_TYPES": "seed",
    "WRITE_JSON": "0",
    "PRINT": "0",
    "USE_COLORS": "1",
    "INDIRECT_SELECTION": "eager",
}
UNUSUAL: dict[str, object] = {
    "cache_selected_only": False,
    "debug": True,
    "hints_enabled": True,
    "indirect_selection": "empty",
    "log_format": "text",
    "log_format_file": "text",
    "log_level": "error",
    "log_level_file": "none",
    "maximum_seed_size_mib": 1,
    "partial_parse": False,
    "populate_cache": False,
    "printer_width": 20,
    "send_anonymous_usage_stats": True,
    "snowflake_projects_otel": True,
    "static_parser": True,
    "use_colors": True,
    "use_colors_file": True,
    "use_experimental_parser": True,
    "use_v2_parser": False,
    "v2_parser": "",
    "version_check": True,
    "write_json": False,
}
"""Flags that change nothing of what is built, each with another value than a task has."""
DECIDE = {"fail_fast", "warn_error", "warn_error_options"}
"""Flags that have tests of their own."""
Build = Callable[..., tuple[dict[str, str], Invocations]]


def planned(unique_id: str) -> PlannedNode:
    """A node as a plan has it, as far as a dbt command asks."""
    kind, _, name = unique_id.split(".")
    file = "models/leaks.sql" if unique_id == LEAKS else ""
    return planned_node(
        unique_id, kind=kind, name=name, layer="", task_id=name, select="", materialized="", file=file
    )


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Run `dbt build` for some nodes of a project with these settings; the status of each, and the commands."""

    def run(
        unique_ids: Iterable[str], kept: list[NodeResult] | None = None, **project: object
    ) -> tuple[dict[str, str], Invocations]:
        for name, text in FILES.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        settings = {"name": "flagged", "version": "1.0", "profile": "flagged", **TABLES, **project}
        (tmp_path / "dbt_project.yml").write_text(yaml.safe_dump(settings))
        target = dbt_target(
            tmp_path,
            dag_id=f"flagged_{tmp_path.name}",
            profile_name="flagged",
            connection="warehouse",
            profile_args={"schema": "flagged", "threads": 4},
        )
        statuses: dict[str, str] = {}

        def take(found: list[NodeResult]) -> None:
            statuses.update({one.unique_id: one.status for one in found})
            (kept if kept is not None else []).extend(found)

        with workspace(target, session="flagged", env={}, options=RunOptions()) as space:
            dbt = Invocations(
                space=space,
                built_by="build",
                on_turn=take,
                check=lambda *, is_last=False: None,  # noqa: ARG005 - the protocol's
                timeouts=NodeTimeouts(cancel=lambda *_: 0, tell=lambda *_: None),
            )
            dbt.run("build", map(planned, unique_ids))
        return statuses, dbt

    return run


@pytest.mark.parametrize(
    ("flags", "env", "test"),
    [
        ({}, {f"DBT_{name}": value for name, value in HOSTILE.items()}, "warn"),
        ({}, {f"DBT_ENGINE_{name}": value for name, value in HOSTILE.items()}, "warn"),
        ({"warn_error_options": {"error": ["LogTestResult"]}}, {}, "fail"),
        ({"warn_error": True}, {}, "fail"),
        ({"warn_error": False}, {}, "warn"),
        ({"log_level": "error", "log_format": "text", "write_json": False, "debug": True}, {}, "warn"),
        ({}, {"DBT_WARN_ERROR_OPTIONS": json.dumps({"include": ["LogTestResult"]})}, "fail"),
    ],
    ids=["variables", "engine variables", "options", "warn_error", "no warn_error", "output", "by variable"],
)
def test_flags_and_variables_decide_what_is_theirs(
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    flags: dict[str, object],
    env: dict[str, str],
    test: str,
) -> None:
    """A warning that the project calls an error is one; what is ours is not changed."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    statuses, dbt = build([GOOD, WARNS], flags=flags)
    assert statuses == {**FINE, WARNS: test}
    assert dbt.failures == []


def _switches() -> dict[str, bool]:
    """Each switch of dbt as it is not by default; asked in another process, because nothing of ours imports dbt."""
    asked = (
        "import json, dataclasses; from dbt.contracts.project import ProjectFlags as flags; "
        "print(json.dumps({one.name: one.default for one in dataclasses.fields(flags)}))"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    usual: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    unknown = {name for name, value in usual.items() if value is None} - UNUSUAL.keys() - DECIDE
    assert unknown == set(), "flags of this dbt without a value in UNUSUAL"
    return {name: not value for name, value in usual.items() if name not in UNUSUAL and value is not None}


def test_all_other_flags_together_change_nothing_of_what_is_built(build: Build) -> None:
    """With old behaviour and new, as dbt has it: the nodes, their statuses and their reasons are read all the same."""
    statuses, dbt = build([GOOD, WARNS, BAD], flags={**UNUSUAL, **_switches()})
    assert statuses == {**FINE, BAD: "error"}
    assert dbt.failures == []


@pytest.mark.full
@pytest.mark.parametrize("flag", sorted(UNUSUAL))
def test_each_other_flag_changes_nothing_of_what_is_built(build: Build, flag: str) -> None:
    """Alone."""
    statuses, dbt = build([GOOD, WARNS, BAD], flags={flag: UNUSUAL[flag]})
    assert statuses == {**FINE, BAD: "error"}
    assert dbt.failures == []


@pytest.mark.full
def test_each_switch_for_old_behaviour_changes_nothing_of_what_is_built(build: Build) -> None:
    """One after the other."""
    for name, value in _switches().items():
        statuses, dbt = build([GOOD, WARNS, BAD], flags={name: value})
        assert (name, statuses, dbt.failures) == (name, {**FINE, BAD: "error"}, [])


@pytest.mark.parametrize(
    ("settings", "env"),
    [({"data_tests": {"+store_failures": True}}, {}), ({}, {"DBT_STORE_FAILURES": "1"})],
    ids=["by the project", "by variable"],
)
def test_failing_rows_are_stored_if_the_project_or_a_variable_says_so(
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    warehouse_server: EmbeddedPostgres,
    settings: dict[str, object],
    env: dict[str, str],
) -> None:
    """In dbt's own schema for them; dbt 1.12 has no flag for it."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with psycopg.connect(warehouse_server.conninfo("warehouse"), autocommit=True) as session:
        session.execute("drop schema if exists flagged_dbt_test__audit cascade")
        statuses, _ = build([GOOD, WARNS], **settings)
        assert statuses == FINE
        assert session.execute("select count(*) from flagged_dbt_test__audit.warns").fetchone() == (1,)


def test_a_node_that_is_gone_is_an_error_whatever_the_project_silences(build: Build) -> None:
    """dbt alone would call it a success."""
    silent = {"warn_error_options": {"silence": ["NoNodesForSelectionCriteria"]}}
    with pytest.raises(DbtStopped, match="does not match any enabled nodes"):
        build(["model.flagged.gone"], flags=silent)


def test_the_project_may_ask_to_stop_at_the_first_failure(build: Build) -> None:
    """What dbt cancelled has not failed: only the model that did is named."""
    statuses, dbt = build([BAD, *SLOW], flags={"fail_fast": True})
    assert statuses.pop(BAD) == "error"
    assert set(statuses.values()) <= {"skipped"}
    assert dbt.has_failed_fast
    assert dbt.failures == []


def test_a_hook_that_fails_at_the_end_is_a_failure(build: Build) -> None:
    """All nodes are as they are, one that failed among them."""
    for nodes, expected in (([GOOD, WARNS], FINE), ([BAD], {BAD: "error"})):
        statuses, dbt = build(nodes, **{"on-run-end": ["select 1", BREAKS]})
        assert statuses == expected
        [failure] = dbt.failures
        assert "operation.flagged.flagged-on-run-end-1" in failure
        assert 'relation "there_is_no_such_table" does not exist' in failure


def test_a_hook_that_cannot_be_rendered_is_a_failure(build: Build) -> None:
    """dbt ends with another code, and has built everything."""
    statuses, dbt = build(
        [GOOD],
        **{"on-run-end": ["{% if execute %}{{ exceptions.raise_compiler_error('not so') }}{% endif %}"]},
    )
    assert statuses == {GOOD: "success"}
    [failure] = dbt.failures
    assert "not so" in failure


def test_a_hook_that_fails_before_the_nodes_says_why(build: Build) -> None:
    """dbt comes to none of them."""
    with pytest.raises(
        DbtStopped, match=r'1 of them were not reached[^!]*"there_is_no_such_table" does not exist'
    ):
        build([GOOD], **{"on-run-start": [BREAKS], "flags": {"skip_nodes_if_on_run_start_fails": True}})


def test_a_hook_that_fails_before_nodes_that_are_built_all_the_same_is_a_failure(build: Build) -> None:
    """So dbt 1.11 does it, unless a flag says otherwise."""
    flags = {"skip_nodes_if_on_run_start_fails": False}
    statuses, dbt = build([GOOD], **{"on-run-start": [BREAKS], "flags": flags})
    assert statuses == {GOOD: "success"}
    [failure] = dbt.failures
    assert "operation.flagged.flagged-on-run-start-0" in failure
    assert 'relation "there_is_no_such_table" does not exist' in failure


def test_values_of_the_environment_that_a_model_renders_are_masked(
    build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In dbt's message and the compiled SQL; of the process's environment, and of the project's `.env`."""
    monkeypatch.setenv("GOLDSMITH_SECRET_ENV", "PARTNER_*")
    monkeypatch.setenv("PARTNER_KEY", "planted-partner")
    (tmp_path / ".env").write_text("PARTNER_TOKEN=planted-dotenv\n")
    kept: list[NodeResult] = []
    build([LEAKS], kept)
    [one] = kept
    assert one.status == "error"
    assert 'invalid input syntax for type integer: "***"' in one.message
    assert "select '***'::int as id, 'none' as token" in one.compiled_sql
    assert "planted" not in json.dumps(one.to_dict())
    assert masked("planted-dotenv") == "***"
