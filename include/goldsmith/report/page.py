"""The page of a run, from what is known of it. No I/O in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from goldsmith.airflow_pages import run_url, task_url
from goldsmith.pages.page import Pages
from goldsmith.report.facts import CONDITIONS, NODE_WARN, WORDS, NodeFacts, RunFacts
from goldsmith.report.failed import failed_of
from goldsmith.report.lineage import lineage, longest_chain
from goldsmith.report.past import Past
from goldsmith.report.summary import Changes, Summary
from goldsmith.report.timeline import timeline

# So that a page stays small however bad the run was; the tab `dbt` of a task has everything.
_FAILED, _WARNED, _OPEN, _SLOWEST, _CHANGED, _SOURCES = 50, 20, 8, 15, 30, 50
_TEXT, _CELL, _SQL = 4000, 120, 6000  # characters
KINDS = {"unit_test": "unit test", "source": "freshness"}

_PAGES = Pages("goldsmith.report", style="report.css", script="report.js")
CONTENT_SECURITY_POLICY = f"{_PAGES.policy}; frame-ancestors 'self'"


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """Another report of the same run."""

    title: str
    file: str
    """Its name, in the folder of the page."""


def report_page(
    run: RunFacts,
    *,
    changes: Changes | None,
    past: Past | None = None,
    airflow_url: str,
    dbt: str,
    beside: tuple[Beside, ...] = (),
    notes: tuple[str, ...] = (),
) -> str:
    """The report of a run as one HTML file that needs nothing else.

    Args:
        run: The run.
        changes: What changed since the one before; none if there was none.
        past: The runs before it; none if nothing is kept of them.
        airflow_url: Airflow's web page, for links; empty for none.
        dbt: dbt's version.
        beside: More reports of this run.
        notes: What a reader should know of the report itself.
    """
    known = past or Past(Summary.of(run))
    slowest = sorted((node for node in run.nodes if node.seconds > 0), key=lambda node: -node.seconds)
    return _PAGES.render(
        "report.html",
        run=run,
        policy=_PAGES.policy,
        words=WORDS,
        kinds=KINDS,
        **_by_condition(run, known),
        **_since_before(changes),
        open=_OPEN,
        past=known,
        chart=timeline(run),
        picture=lineage(run),
        slowest=slowest[:_SLOWEST],
        chain=longest_chain(run),
        link=_Links(airflow_url, run),
        dbt=dbt,
        beside=beside,
        notes=notes,
        cut=_cut,
        most=(_TEXT, _CELL, _SQL),
    )


def _by_condition(run: RunFacts, past: Past) -> dict[str, Any]:
    """The nodes that somebody has to look at, the first of many, and how many fared how."""
    nodes = {one: [node for node in run.nodes if node.condition == one] for one in CONDITIONS}
    failed = failed_of(run, past)
    return {
        "conditions": [(one, len(nodes[one])) for one in CONDITIONS if nodes[one]],
        "failed": failed[:_FAILED],
        "more_failed": sum(len(one.nodes) for one in failed[_FAILED:]),
        "warned": nodes[NODE_WARN][:_WARNED],
        "more_warned": len(nodes[NODE_WARN][_WARNED:]),
        "sources": [node for node in run.nodes if node.node.kind == "source"][:_SOURCES],
    }


def _since_before(changes: Changes | None) -> dict[str, Any]:
    """What is different from the run before."""
    return {
        "changes": changes.changes[:_CHANGED] if changes else (),
        "more_changes": len(changes.changes[_CHANGED:]) if changes else 0,
        "before": changes.before if changes else None,
    }


class _Links:
    """Links into Airflow."""

    def __init__(self, airflow_url: str, run: RunFacts) -> None:
        self._url, self._ids = airflow_url.rstrip("/"), (run.pipeline, run.run_id)

    def run(self) -> str:
        """The run's page; empty without an address of Airflow."""
        return run_url(self._url, *self._ids) if self._url else ""

    def task(self, node: NodeFacts) -> str:
        """The page of a node's task."""
        return task_url(self._url, *self._ids, node.node.task_id) if self._url else ""

    def tab(self, node: NodeFacts) -> str:
        """The same inside Airflow, where the report is shown in a frame: what dbt said about it."""
        ids = "/".join(quote(part, safe="") for part in (*self._ids, node.node.task_id))
        return f"../../../task/{ids}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def counted(run: RunFacts) -> Mapping[str, int]:
    """How many nodes fared how, in words."""
    return {WORDS[one]: run.counts[one] for one in CONDITIONS if run.counts[one]}
