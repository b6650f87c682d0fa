"""The page of a run, from what is known of it. No I/O in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from goldsmith.airflow_pages import RESULT_TAB, run_url, task_url
from goldsmith.pages.page import Pages, moment
from goldsmith.report.behind import Holding
from goldsmith.report.causes import causes, failed_tasks
from goldsmith.report.facts import CONDITIONS, NODE_WARN, WORDS, RunFacts
from goldsmith.report.lineage import lineage, longest_chain
from goldsmith.report.past import Past
from goldsmith.report.rows import Row, rows_of
from goldsmith.report.strips import run_bars
from goldsmith.report.summary import Changes, changes_since
from goldsmith.report.timeline import timeline

# So that a page stays small however bad the run was; the tab `dbt` of a task has everything.
_MOST = {
    "tasks": 20,
    "causes": 50,
    "alike": 20,
    "held": 12,
    "warned": 20,
    "changed": 30,
    "slowest": 15,
    "sources": 50,
}
_FULL = {"text": 4000, "cell": 120, "rows": 10, "columns": 30, "sql": True}
_BRIEF = {"text": 1000, "cell": 60, "rows": 3, "columns": 12, "sql": False}
"""Of a failure: characters of a text and of a cell, rows and columns, whether the SQL is shown."""
_OPEN = 5
KINDS = {"unit_test": "unit test", "source": "freshness"}

_PAGES = Pages("goldsmith.report", style="report.css", script="report.js")
CONTENT_SECURITY_POLICY = f"{_PAGES.policy}; frame-ancestors 'self'"


def report_page(run: RunFacts, *, past: Past, airflow_url: str, dbt: str) -> str:
    """The report of a run as one HTML file that needs nothing else.

    Args:
        run: The run.
        past: The runs before it.
        airflow_url: Airflow's web page, for links; empty for none.
        dbt: dbt's version.
    """
    rows = rows_of(run, past)
    holding = Holding(run)
    return _PAGES.render(
        "report.html",
        run=run,
        past=past,
        policy=_PAGES.policy,
        words=WORDS,
        kinds=KINDS,
        conditions=[(one, run.counts[one]) for one in CONDITIONS if run.counts[one]],
        tasks=failed_tasks(run, past, holding)[: _MOST["tasks"]],
        causes=causes(run, past, holding),
        warned=[node for node in run.nodes if node.condition == NODE_WARN],
        bars=run_bars(past),
        chart=timeline(run),
        picture=lineage(run),
        rows=rows,
        sources=[row for row in rows.values() if row.facts.node.kind == "source"],
        slowest=_slowest(list(rows.values())),
        chain=longest_chain(run),
        changes=_changes(past),
        link=_Links(airflow_url, run),
        dbt=dbt,
        cut=_cut,
        when=_when,
        most=_MOST,
        full=_FULL,
        brief=_BRIEF,
        open=_OPEN,
    )


def _changes(past: Past) -> Changes | None:
    """What changed since the run before; none where there was none."""
    return changes_since(past.earlier[0], past.now) if past.earlier else None


def _slowest(rows: Sequence[Row]) -> list[Row]:
    ran = sorted((row for row in rows if row.facts.seconds > 0), key=lambda row: -row.facts.seconds)
    return ran[: _MOST["slowest"]]


class _Links:
    """Links into Airflow."""

    def __init__(self, airflow_url: str, run: RunFacts) -> None:
        self._url, self._ids = airflow_url.rstrip("/"), (run.pipeline, run.run_id)

    def run(self, run_id: str = "") -> str:
        """The page of a run, by default of this one; empty without an address of Airflow."""
        return run_url(self._url, self._ids[0], run_id or self._ids[1]) if self._url else ""

    def log(self, task_id: str) -> str:
        """The page of a task, with its log."""
        return task_url(self._url, *self._ids, task_id) if self._url else ""

    def task(self, task_id: str) -> str:
        """What dbt said about a node, in the tab of its task."""
        return task_url(self._url, *self._ids, task_id, tab=RESULT_TAB) if self._url else ""

    def tab(self, task_id: str) -> str:
        """The same inside Airflow, where the report is shown in a frame."""
        ids = "/".join(quote(part, safe="") for part in (*self._ids, task_id))
        return f"../../../task/{ids}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _when(text: str) -> str:
    """A time to the minute, for where there is little place."""
    return moment(text)[:16]


def counted(run: RunFacts) -> Mapping[str, int]:
    """How many nodes fared how, in words."""
    return {WORDS[one]: run.counts[one] for one in CONDITIONS if run.counts[one]}
