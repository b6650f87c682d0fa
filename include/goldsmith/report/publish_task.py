"""Publishing as a task below the reports: it carries what there is, and fails where something could not be carried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from goldsmith.airflow_pages import report_url
from goldsmith.engine.site import Site
from goldsmith.errors import EnvironmentProblem, GoldsmithError
from goldsmith.report.around import AroundRun
from goldsmith.report.page import counted
from goldsmith.report.run import facts_of_run
from goldsmith.report.store import FILES, PAGE, ReportStore
from goldsmith.settings import airflow_url
from goldsmith.spec.report import Report

if TYPE_CHECKING:
    from goldsmith.report.publish import RunReports

_NAMES = {PAGE: "report", "elementary.html": "Elementary", "dbt_docs.html": "dbt docs"}


class PublishTask(AroundRun):
    """Publishes the reports of its run.

    Args:
        report: What the spec says.
        site: Where the run's nodes were built.
    """

    def __init__(self, *, report: Report, site: Site, **kwargs: Any) -> None:
        super().__init__(site=site, **kwargs)
        self.report = report

    def execute(self, context: Context) -> dict[str, Any]:
        """Carry the reports to each place; where one refuses, the others get them all the same.

        Returns:
            Where they lie now.

        Raises:
            EnvironmentProblem: A place did not take them.
        """
        from goldsmith.report.publish import put, send

        reports, is_red = self._reports(context)
        errors: list[str] = []
        placed: dict[str, str] = {}
        for target in self.report.publish:
            found = self._tried(target.to, partial(put, reports, target), errors)
            placed |= {f"{target.to}: {name}": where for name, where in (found or {}).items()}
        links = _links(placed) or reports.links
        told = replace(reports, links=links)
        for to in self.report.send:
            if is_red or not to.only_failed:
                self._tried(f"{to.type} {to.connection}", partial(send, told, to), errors)
        for where in placed.values():
            self.log.info("%s", where)
        if errors:
            raise EnvironmentProblem("Not everything was published:\n" + "\n".join(errors))
        return {"published": placed}

    def _reports(self, context: Context) -> tuple[RunReports, bool]:
        from goldsmith.report.publish import RunReports

        run_id = context["run_id"]
        store = ReportStore(self.site.results_path, self.dag_id)
        files = {name: content for name in FILES if (content := store.read(run_id, name)) is not None}
        if not files:
            raise EnvironmentProblem(
                "There is no report of this run to publish.", hint="See the tasks before."
            )
        run = facts_of_run(self.site, context)
        counts = ", ".join(f"{number:,} {how}" for how, number in counted(run).items())
        reports = RunReports(
            dag_id=self.dag_id,
            run_id=run_id,
            started=run.started.isoformat() if run.started else "",
            headline=f"[{self.site.target.target}] {self.dag_id}: {run.outcome} ({counts})",
            files=files,
            links=self._in_airflow(run_id),
        )
        return reports, run.is_red

    def _in_airflow(self, run_id: str) -> dict[str, str]:
        url = airflow_url()
        return {"report in Airflow": report_url(url, self.dag_id, run_id)} if url else {}

    def _tried(self, what: str, act: Callable[[], Any], errors: list[str]) -> Any:
        try:
            return act()
        except GoldsmithError as error:
            errors.append(f"{what}: {error}")
            self.log.warning("%s", error)
            return None


def _links(placed: dict[str, str]) -> dict[str, str]:
    """Those places that a browser can open."""
    return {
        _NAMES.get(where.rsplit("/", 1)[-1], where): where
        for where in placed.values()
        if where.startswith(("http://", "https://"))
    }
