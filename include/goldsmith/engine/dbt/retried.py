"""What `dbt retry` reads: the results of a command whose microbatch models are to get their missing batches.

Only `dbt retry` builds single batches of a model. It takes them, and nearly all of its settings, from a
run_results.json. It is not given `--full-refresh`: with that, dbt would make the table anew from the first batch
that it retries, and the batches that are built already would be lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from goldsmith.plan.model import PlannedNode
from goldsmith.results.microbatch import Microbatches, window

RETRY = "retry"
_FULL_REFRESH = "--full-refresh"
# Exact versions of the artifact decide nothing here, but dbt refuses a file without one.
_RESULTS_SCHEMA = "https://schemas.getdbt.com/dbt/run-results/v6.json"
ENTRY = {
    "status": "success",
    "timing": [],
    "thread_id": "",
    "execution_time": 0.0,
    "adapter_response": {},
    "message": None,
    "failures": None,
    "compiled": False,
    "compiled_code": "",
    "relation_name": "",
}
NOT_ANEW = {"DBT_FULL_REFRESH": "false", "DBT_ENGINE_FULL_REFRESH": "false"}
"""Environment of a retry: a worker's own variable would be as bad as the option."""
_EPOCH = "1970-01-01T00:00:00+00:00"


def missing_of(
    node: PlannedNode, batches: Microbatches | None, *, is_full_refresh: bool
) -> Microbatches | None:
    """The batches of a model that is to get only those that are missing; None where dbt builds it as ever.

    Args:
        node: The model.
        batches: What is known of its batches.
        is_full_refresh: Whether the run makes its models anew.
    """
    if batches is None or not batches.missing or node.full_refresh:
        return None
    # Nothing would be lost, and a table of before has to go.
    is_anew = is_full_refresh and node.full_refresh is None and not batches.built
    return None if is_anew else batches


def results_to_retry(batches: Mapping[str, Microbatches], *, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The run_results.json of a command of which batches are missing.

    Args:
        batches: Unique id to batches.
        settings: As `settings_to_retry` makes them.
    """
    entries = [{**ENTRY, **_of(one), "unique_id": uid} for uid, one in batches.items()]
    return results_document(entries, settings=settings)


def results_document(entries: Sequence[Mapping[str, Any]], *, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run_results.json.

    Args:
        entries: Its results.
        settings: Of the command.
    """
    return {
        "metadata": {"dbt_schema_version": _RESULTS_SCHEMA},
        "results": list(entries),
        "elapsed_time": 0.0,
        "args": dict(settings),
    }


def _of(batches: Microbatches) -> dict[str, Any]:
    built = [_bounds(name) for name in batches.planned if name in batches.built]
    # dbt ignores the batches of a model that has built none, and would take the last ones only if the table is there.
    built = built or [(_EPOCH, _EPOCH)]
    failed = [_bounds(name) for name in batches.missing]
    return {"status": "partial success", "batch_results": {"successful": built, "failed": failed}}


def settings_to_retry(arguments: Sequence[str], *, verb: str) -> dict[str, Any]:
    """The `args` of a run_results.json: a command's settings, which a retry takes over.

    Args:
        arguments: Of the command, without what it selects.
        verb: The command.
    """
    # A fork of a process that has loaded dbt cannot use its static parser.
    found: dict[str, Any] = {"which": verb, "static_parser": False}
    left = [one for one in arguments if one != _FULL_REFRESH]
    while left:
        name = left.pop(0).removeprefix("--")
        if left and not left[0].startswith("--"):
            found[_key(name)] = left.pop(0)
        else:
            found[_key(name.removeprefix("no-"))] = not name.startswith("no-")
    return found


def variables_to_retry(variables: Mapping[str, Any]) -> bool:
    """Whether a retry may be given dbt variables on its command line too.

    It needs them there to read a dbt_project.yml that uses them; but it prints them as Python does and reads them as
    YAML, in which null is text.
    """
    return bool(variables) and yaml.safe_load(str(dict(variables))) == variables


def _bounds(name: str) -> tuple[str, str]:
    start, end = window(name)
    return start.isoformat(), end.isoformat()


def _key(name: str) -> str:
    return name.replace("-", "_")
