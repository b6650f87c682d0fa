"""The form with which a person starts a run in Airflow."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param

from goldsmith.spec.run import MOST_THREADS

_WHAT, _HOW, _WINDOW = "What to build", "How to build it", "Window of microbatch models"


def run_params() -> dict[str, Param]:
    """The parameters of a run, as `RunOptions` checks them."""
    return {
        "select": _text(
            _WHAT,
            "Select",
            "As in dbt: names, tag:, path:, source:, +, @, result:error, state:modified, with spaces between. "
            "Empty: everything. Tasks of what is not selected are skipped.",
        ),
        "exclude": _text(_WHAT, "Exclude", "What to leave out of it, in the same way."),
        "ingest": _switch(
            _WHAT,
            "Load all files",
            "Load all raw files, also those of sources that the selection leaves out.",
        ),
        "dry_run": _switch(_WHAT, "Dry run", "Build nothing: the tab report says what would be built."),
        "full_refresh": _switch(_HOW, "Full refresh", "Build incremental models and load seeds anew."),
        "full_refresh_approved": _switch(
            _HOW, "Full refresh approved", "Needed for that where the target is prod."
        ),
        "vars": Param(
            {}, type="object", section=_HOW, title="Variables", description="dbt variables, as JSON."
        ),
        "threads": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=MOST_THREADS,
            section=_HOW,
            title="Threads",
            description="How many nodes dbt builds at once; empty: as always.",
        ),
        "fail_fast": _switch(_HOW, "Fail fast", "Stop at the first node that fails."),
        "event_time_start": _moment("From", "Start of the window; with its end."),
        "event_time_end": _moment("To", "End of the window, which does not belong to it."),
    }


def add_run_params(dag: DAG) -> None:
    """Give the DAG its form, when it has all its tasks: each of them would get a copy of its own."""
    for name, param in run_params().items():
        dag.params[name] = param


def _text(section: str, title: str, description: str) -> Param:
    # Airflow's form takes an empty text for one that is missing, and then starts nothing: so it may be null.
    return Param(None, type=["null", "string"], section=section, title=title, description=description)


def _switch(section: str, title: str, description: str) -> Param:
    return Param(False, type="boolean", section=section, title=title, description=description)  # noqa: FBT003


def _moment(title: str, description: str) -> Param:
    kind: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}
    return Param(None, **kind, section=_WINDOW, title=title, description=description)
