"""The report as the last task of a run.

A teardown, so that it runs after failures too, and that Airflow leaves it out when it judges the run: it never turns a
red run green, nor a green one red.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from goldsmith.airflow_pages import report_url
from goldsmith.engine.access import airflow_api
from goldsmith.engine.build_state import CHOICES_KEY
from goldsmith.engine.left_behind import saying_why
from goldsmith.engine.packed import unpack
from goldsmith.engine.site import Site
from goldsmith.errors import GoldsmithError
from goldsmith.parameters import is_dry
from goldsmith.plan.preview import RUN, SKIP, Choice
from goldsmith.report.around import AroundRun
from goldsmith.report.cause import cause_of
from goldsmith.report.dry_run import dry_run_page
from goldsmith.report.facts import RunFacts
from goldsmith.report.pace import renew_pace
from goldsmith.report.page import counted, report_page
from goldsmith.report.past import RUNS, Past
from goldsmith.report.run import facts_of_run
from goldsmith.report.store import PAGE, ReportStore
from goldsmith.report.summary import Summary
from goldsmith.rest.marking import FAILED_NOTE
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
        with saying_why(context):
            return self._execute(context)

    def _execute(self, context: Context) -> dict[str, Any]:
        store = ReportStore(self.site.results_path, self.dag_id)
        if is_dry(context):
            return self._of_dry_run(store, context)
        run = facts_of_run(self.site, context)
        self._write_page(run, store)
        self._note_why(run)
        where = store.location(run.run_id)
        counts = dict(counted(run))
        self.log.info("%s: %s", where, ", ".join(f"{number} {how}" for how, number in counts.items()))
        return {"report": where, "nodes": counts}

    def pre_execute(self, context: Context) -> None:
        """A dry run has a page too."""

    def _of_dry_run(self, store: ReportStore, context: Context) -> dict[str, Any]:
        """Show what a run would do, and link it from the run."""
        run_id, first = context["run_id"], self.site.graph.plan.builds[0].task_id
        packed = context["ti"].xcom_pull(task_ids=first, key=CHOICES_KEY)
        if not packed:
            raise AirflowSkipException(f"{first} does not say what a run would do: see its log.")
        choices = [Choice(**one) for one in unpack(packed)]
        asked = {key: value for key, value in (context["dag_run"].conf or {}).items() if value is not None}
        store.add_dry_run(run_id, dry_run_page(self.dag_id, run_id, choices, asked).encode())
        counts = Counter(one.action for one in choices)
        text = f"A dry run: it would run {counts[RUN]} and skip {counts[SKIP]}."
        self._note(run_id, f"{text} {report_url(airflow_url(), self.dag_id, run_id)}")
        return {"report": store.location(run_id), "nodes": dict(counts)}

    def _note_why(self, run: RunFacts) -> None:
        """Say on the run why it is red; no more if it was red before and a retry has helped."""
        cause = cause_of(run)
        link = report_url(airflow_url(), self.dag_id, run.run_id)
        self._note(run.run_id, f"{FAILED_NOTE}{cause}\n{link}" if cause else "")

    def _note(self, run_id: str, text: str) -> None:
        try:
            with airflow_api() as api:
                api.note_on_run(self.dag_id, run_id, text, replacing=FAILED_NOTE)
        except GoldsmithError as error:
            self.log.info("No note was put on the run: %s", error)

    def _write_page(self, run: RunFacts, store: ReportStore) -> None:
        summary = Summary.of(run)
        past = Past.of(summary, list(islice(store.earlier(run.run_id, summary.started), RUNS)))
        page = report_page(run, past=past, airflow_url=airflow_url(), dbt=self.site.graph.plan.dbt_version)
        # What could hold a secret was masked when it was kept; in a page a secret may be a word of the markup.
        store.write(run.run_id, {PAGE: page.encode()})
        store.add(past.now, keep=self.report.keep)
        if not self.site.graph.plan.builds:
            renew_pace(store, summary.nodes, now=run.made)
