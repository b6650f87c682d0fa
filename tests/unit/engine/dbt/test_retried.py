"""What `dbt retry` is given: the batches that are missing, and the settings of the command that it repeats."""

from __future__ import annotations

from typing import Any

import pytest
from tests.builders import planned_node

from goldsmith.engine.dbt.retried import (
    missing_of,
    results_to_retry,
    settings_to_retry,
    variables_to_retry,
)
from goldsmith.results.microbatch import Microbatches

DAYS = planned_node("model.shop.days", materialized="incremental")
BEGUN = Microbatches(planned=("2026-11-20", "2026-11-21", "2026-11-22"), built=frozenset({"2026-11-21"}))
DONE = Microbatches(planned=BEGUN.planned, built=frozenset(BEGUN.planned))


@pytest.mark.parametrize(
    ("batches", "always", "is_full_refresh", "is_retried"),
    [
        (None, None, False, False),
        (DONE, None, False, False),
        (BEGUN, None, False, True),
        (BEGUN.anew(), None, False, True),
        # A full refresh would lose what is built; with nothing built it has a table of before to make anew.
        (BEGUN, None, True, True),
        (BEGUN.anew(), None, True, False),
        # The project itself says what a full refresh means to the model.
        (BEGUN, True, False, False),
        (BEGUN.anew(), False, True, True),
    ],
)
def test_a_model_is_retried_if_dbt_alone_would_build_too_little_and_nothing_is_lost(
    batches: Microbatches | None, *, always: bool | None, is_full_refresh: bool, is_retried: bool
) -> None:
    """Otherwise dbt builds it as ever."""
    node = planned_node("model.shop.days", full_refresh=always)
    assert missing_of(node, batches, is_full_refresh=is_full_refresh) == (batches if is_retried else None)


def entry(batches: Microbatches) -> dict[str, Any]:
    """What dbt reads of a model."""
    found = results_to_retry({DAYS.unique_id: batches}, settings={"which": "build"})
    assert found["args"] == {"which": "build"}
    assert found["metadata"]["dbt_schema_version"].endswith("/run-results/v6.json")
    [one] = found["results"]
    assert (one["unique_id"], one["status"]) == (DAYS.unique_id, "partial success")
    result: dict[str, Any] = one["batch_results"]
    return result


def test_dbt_reads_from_when_to_when_each_batch_is() -> None:
    """Those that failed are built, those that are built are left."""
    assert entry(BEGUN) == {
        "successful": [("2026-11-21T00:00:00+00:00", "2026-11-22T00:00:00+00:00")],
        "failed": [
            ("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00"),
            ("2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00+00:00"),
        ],
    }


def test_a_model_that_has_built_nothing_is_named_one_batch_of_long_ago() -> None:
    """dbt would ignore its batches without any that is built."""
    found = entry(BEGUN.anew())
    assert found["successful"] == [("1970-01-01T00:00:00+00:00",) * 2]
    assert len(found["failed"]) == 3


def test_a_retry_takes_over_the_settings_of_its_command_and_never_a_full_refresh() -> None:
    """With it, dbt would make the table anew, and the batches that are built would be lost."""
    arguments = [
        "--no-quiet",
        "--log-format",
        "json",
        "--full-refresh",
        "--fail-fast",
        "--threads",
        "4",
        "--x",
    ]
    assert settings_to_retry(arguments, verb="build") == {
        "which": "build",
        "static_parser": False,
        "quiet": False,
        "log_format": "json",
        "fail_fast": True,
        "threads": "4",
        "x": True,
    }


@pytest.mark.parametrize(
    ("variables", "may_be_given"),
    [
        ({}, False),
        ({"region": "emea", "days": 3, "is_new": True}, True),
        ({"until": None}, False),
        ({"many": [1, "2"], "deep": {"a": 1.5}}, True),
    ],
)
def test_variables_are_given_again_if_dbt_reads_them_back_as_they_were(
    variables: dict[str, Any], *, may_be_given: bool
) -> None:
    """It prints them as Python does, and reads them as YAML, in which `None` is text."""
    assert variables_to_retry(variables) == may_be_given
