"""The report as the last task of a run.

A teardown, so that it runs after failures too, and that Airflow leaves it out when it judges the run: it never turns a
red run green, nor a green one red.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context

from goldsmith.engine.site import Site
from goldsmith.report.around import AroundRun
from goldsmith.report.facts import RunFacts
from goldsmith.report.pace import renew_pace
from goldsmith.report.page import counted, report_page
from goldsmith.report.run import facts_of_run
from goldsmith.report.store import PAGE, ReportStore
from goldsmith.report.summary import Summary, changes_since
from goldsmith.settings import airflow_url
from goldsmith.spec.report import Report


class ReportTask(AroundRun):
    """Makes the report of its run.

    Args:
        report: What the spec says about it.
        site: Where the run's nodes were built.
    """

    def __init__(self, *, report: Report, site: Site, **kwargs: Any) -> None:
        super().__init__(site=site, **kwargs)
        self.report = report

    def execute(self, context: Context) -> dict[str, Any]:
        """Make the page and keep it.

        Returns:
            Where it lies, and how many nodes fared how.

        Raises:
            EnvironmentProblem: It cannot be kept.
        """
        run = facts_of_run(self.site, context)
        store = ReportStore(self.site.results_path, self.dag_id)
        self._write_page(run, store)
        where = store.location(run.run_id)
        counts = dict(counted(run))
        self.log.info("%s: %s", where, ", ".join(f"{number} {how}" for how, number in counts.items()))
        return {"report": where, "nodes": counts}

    def _write_page(self, run: RunFacts, store: ReportStore) -> None:
        summary = Summary.of(run)
        before = store.before(run.run_id, summary.started)
        page = report_page(
            run,
            changes=changes_since(before, summary) if before else None,
            airflow_url=airflow_url(),
            dbt=self.site.graph.plan.dbt_version,
        )
        # What could hold a secret was masked when it was kept; in a page a secret may be a word of the markup.
        store.write(run.run_id, {PAGE: page.encode()})
        store.add(summary, keep=self.report.keep)
        if not self.site.graph.plan.builds:
            renew_pace(store, summary.nodes, now=run.made)
