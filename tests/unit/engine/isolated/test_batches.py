"""The batches of a microbatch model in the isolated engine, from one try of its task to the next."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.airflow.joint_tasks import Store
from tests.builders import planned_node

from goldsmith.engine.build_state import BuildState
from goldsmith.engine.isolated.batches import KeptBatches
from goldsmith.results.microbatch import Microbatches
from goldsmith.results.record import NodeResult

DAYS = planned_node("model.shop.days", materialized="incremental")
ALL = ("2026-11-20", "2026-11-21", "2026-11-22")
BEGUN = Microbatches(planned=ALL, built=frozenset(ALL[:1]))
SHARED = ["--project-dir", "p", "--profiles-dir", "d", "--profile", "shop", "--target", "prod"]
RUN = [
    "dbt",
    "--no-quiet",
    "run",
    "--select",
    "days",
    "--full-refresh",
    "--threads",
    "4",
    "--state",
    "cosmos",
    *SHARED,
]


def kept(store: Store, *, is_full_refresh: bool = False, is_stale: bool = False) -> KeptBatches:
    """As a try of the task finds them."""
    return KeptBatches(DAYS, store, is_full_refresh=is_full_refresh, is_stale=is_stale)


def left(begun: Microbatches | None = BEGUN) -> Store:
    """What an earlier try has left of the model."""
    store = Store()
    if begun is not None:
        BuildState(build_id="b1", max_tries=0, batches={DAYS.unique_id: begun}).save(store)
    return store


def known(store: Store) -> Microbatches | None:
    """What is kept."""
    state = BuildState.load(store)
    return state.batches.get(DAYS.unique_id) if state else None


def say(read: Callable[[Any], None], name: str, *, about: str = DAYS.unique_id, **fields: Any) -> None:
    """An event of dbt, as its runner gives it."""
    info = SimpleNamespace(
        name=name, thread="Thread-1", level=fields.pop("level", "info"), msg=fields.pop("msg", "")
    )
    read(
        SimpleNamespace(info=info, data=SimpleNamespace(node_info=SimpleNamespace(unique_id=about), **fields))
    )


def build(read: Callable[[Any], None], place: int, status: str = "success", *, total: int = 3) -> None:
    """All that dbt says of a batch; each built one has two rows."""
    of: dict[str, Any] = {
        "description": f"batch {ALL[place - 1]} of days",
        "batch_index": place,
        "total_batches": total,
    }
    say(read, "LogStartBatch", **of)
    if status == "error":
        say(read, "GenericExceptionOnRun", level="error", exc="division by zero")
    say(read, "LogBatchResult", **of)
    run_result = SimpleNamespace(status=status, message="", adapter_response={"rows_affected": 2})
    say(read, "NodeFinished", run_result=run_result)


@pytest.fixture
def ended(result: Callable[..., NodeResult]) -> Callable[[str], NodeResult]:
    """dbt's result of the model."""
    return lambda status: result(unique_id=DAYS.unique_id, status=status, message=status.upper(), rows=None)


def test_a_model_of_which_nothing_is_known_is_built_as_ever(tmp_path: Path) -> None:
    """So is one of which all is built, and one that dbt is to make anew with nothing to lose."""
    done = Microbatches(planned=ALL, built=frozenset(ALL))
    for store, is_full_refresh in ((left(None), False), (left(done), False), (left(BEGUN.anew()), True)):
        made = kept(store, is_full_refresh=is_full_refresh)
        assert (made.command(RUN, folder=tmp_path), made.env) == (RUN, {})
    assert list(tmp_path.iterdir()) == []


def test_missing_batches_are_retried_with_the_settings_of_the_command(tmp_path: Path) -> None:
    """A retry takes them from a file, but for where the project is; what selects the model is not for it."""
    made = kept(left())
    state = tmp_path / "goldsmith_state"
    assert made.command(RUN, folder=tmp_path) == [
        "dbt",
        "--no-quiet",
        "retry",
        "--state",
        str(state),
        *SHARED,
    ]
    document = json.loads((state / "run_results.json").read_text())
    [entry] = document["results"]
    assert [start[:10] for start, _ in entry["batch_results"]["failed"]] == list(ALL[1:])
    assert (document["args"]["which"], document["args"]["threads"], document["args"]["quiet"]) == (
        "run",
        "4",
        False,
    )
    assert not {"full_refresh", "state"} & set(document["args"])
    assert set(made.env.values()) == {"false"}
    assert made.command(["dbt", "deps"], folder=tmp_path) == ["dbt", "deps"]


@pytest.mark.parametrize(("variables", "is_given"), [("days: 3", True), ("until: null", False)])
def test_variables_reach_a_retry_if_dbt_reads_them_back_as_they_were(
    tmp_path: Path, variables: str, *, is_given: bool
) -> None:
    """And always by its file."""
    command = [*RUN[:-10], *SHARED, "--vars", variables]
    found = kept(left()).command(command, folder=tmp_path)
    assert (found[-2:] == ["--vars", variables]) == is_given
    document = json.loads((tmp_path / "goldsmith_state" / "run_results.json").read_text())
    assert document["args"]["vars"] == variables


def test_a_model_that_reads_something_newer_builds_all_of_its_batches(tmp_path: Path) -> None:
    """Those that were built have read what was there before."""
    kept(left(), is_stale=True).command(RUN, folder=tmp_path)
    [entry] = json.loads((tmp_path / "goldsmith_state" / "run_results.json").read_text())["results"]
    assert len(entry["batch_results"]["failed"]) == 3


def test_the_first_batch_is_kept_at_once_and_others_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is built, the table is there, and dbt alone would take the model for built."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    store = left(None)
    read = kept(store).read
    say(read, "NodeStart")
    assert known(store) is None
    say(read, "LogStartBatch", about="model.shop.other", description=f"batch {ALL[0]} of other")
    assert known(store) is None
    build(read, 1)
    assert known(store) == BEGUN.anew()
    build(read, 2)
    assert known(store) == BEGUN.anew()
    now += 2.1
    build(read, 3, "error")
    assert known(store) == BEGUN.with_built(ALL[1])


def test_a_model_that_fails_keeps_what_is_missing_and_says_it(ended: Callable[[str], NodeResult]) -> None:
    """With dbt's error, and the rows of those that are built."""
    store = left(None)
    made = kept(store)
    build(made.read, 1)
    build(made.read, 2, "error")
    build(made.read, 3, "skipped")
    found = made.ended(ended("partial success"))
    assert (known(store), found.batches, found.rows) == (BEGUN, BEGUN, 2)
    assert found.message.startswith(
        "PARTIAL SUCCESS\nBatch 2026-11-21: division by zero\nNot run: 2026-11-22"
    )


def test_a_model_that_is_done_is_forgotten(ended: Callable[[str], NodeResult]) -> None:
    """With the rows of all of its batches that this try has built; also if dbt has said nothing about batches."""
    store = left()
    made = kept(store)
    build(made.read, 2, total=2)
    build(made.read, 3, total=2)
    assert made.ended(ended("success")) == replace(ended("success"), rows=4)
    assert known(store) is None
    store = left()
    assert kept(store).ended(ended("success")) == ended("success")
    assert known(store) is None


def test_a_try_that_dbt_ends_before_the_first_batch_keeps_those_of_before(
    ended: Callable[[str], NodeResult],
) -> None:
    """The next one has them to build; of a model that never had any, nothing is kept."""
    store = left()
    found = kept(store).ended(ended("error"))
    assert (known(store), found.batches, found.message) == (BEGUN, BEGUN, "ERROR")
    nothing = left(None)
    assert kept(nothing).ended(ended("error")) == ended("error")
    assert nothing == {}
