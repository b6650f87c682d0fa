"""The HTML of the pages: one file, no picture, no font, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from goldsmith.errors import GoldsmithError
from goldsmith.results.history import by_node
from goldsmith.results.record import NodeResult

_ENDED = {"success", "failed", "upstream_failed", "skipped", "removed"}
_NOT_SHARED = (
    "It ran on a machine that does not share this path with the API server: GOLDSMITH_RESULTS_PATH has to name the"
    " same folder or object storage on all of them."
)
_COLOURS = {"success": "good", "pass": "good", "warn": "warn", "skipped": "idle", "": "idle"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A task in a run, and what is kept of it."""

    dag_id: str
    run_id: str
    task_id: str
    state: str
    """Airflow's; empty while it has none."""
    path: str = ""
    """The file or object that was looked at."""
    records: tuple[NodeResult, ...] = ()


def result_page(shown: Shown) -> str:
    """What dbt said about a task's nodes; or that nothing is kept, and why that may be."""
    reasons = () if shown.records else _reasons(shown.state)
    return _render("result.html", shown=shown, nodes=by_node(shown.records), reasons=reasons)


def missing_page(dag_id: str, run_id: str, task_id: str) -> str:
    """Airflow knows no such task."""
    return _render("missing.html", dag_id=dag_id, run_id=run_id, task_id=task_id)


def failed_page(error: GoldsmithError, shown: Shown) -> str:
    """What is kept cannot be read."""
    return _render("failed.html", error=error, shown=shown)


def _reasons(state: str) -> tuple[str, ...]:
    """Why nothing may be kept of a task in this state, the likeliest first."""
    no_node = "It is no dbt node: a build, a gate, a task that loads raw files, or another DAG's."
    if state in {"upstream_failed", "skipped", "removed"}:
        return (f"dbt did not get to it: Airflow's state is {state}.", no_node)
    if state not in _ENDED:
        return ("dbt has not finished it yet in this run.", no_node)
    return (
        no_node,
        "It was marked by hand, and dbt never built it in this run.",
        "It ran before Goldsmith kept what dbt said, or with an engine that does not: see the task's log.",
        _NOT_SHARED,
        "It was deleted with other old results.",
    )


def _moment(text: str) -> str:
    """A time that a person reads."""
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return text


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _colour(status: str) -> str:
    return _COLOURS.get(status, "bad")


def _file(name: str) -> str:
    return files("goldsmith.view").joinpath("templates", name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """What Content-Security-Policy calls a text that may stand in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_STYLE, _SCRIPT = _file("page.css"), _file("theme.js")
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_source(_STYLE)}",
        f"script-src {_source(_SCRIPT)}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
_ENVIRONMENT = Environment(
    loader=PackageLoader("goldsmith.view"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_ENVIRONMENT.filters.update(moment=_moment, duration=_duration, colour=_colour)


def _render(template: str, **values: object) -> str:
    inlined = {"style": Markup(_STYLE), "script": Markup(_SCRIPT)}  # noqa: S704 - files of this package
    return _ENVIRONMENT.get_template(template).render(**inlined, **values)
