"""dbt's own documentation as one page, beside the reports of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import Context

from goldsmith.engine.left_behind import saying_why
from goldsmith.engine.site import Site
from goldsmith.report.around import AroundRun
from goldsmith.report.dbt_command import DbtCommand
from goldsmith.report.store import DOCS, ReportStore

_PAGE = "static_index.html"


class DbtDocsTask(AroundRun):
    """Makes the documentation, with the catalog of what is in the warehouse now.

    Args:
        site: Where the run's nodes were built.
    """

    def __init__(self, *, site: Site, **kwargs: Any) -> None:
        super().__init__(site=site, **kwargs)
        self._dbt: DbtCommand | None = None

    def execute(self, context: Context) -> dict[str, str]:
        """Make the page and keep it.

        Returns:
            Where it lies.

        Raises:
            EnvironmentProblem: dbt failed, or the page cannot be kept.
        """
        with saying_why(context):
            return self._execute(context)

    def _execute(self, context: Context) -> dict[str, str]:
        run_id = context["run_id"]
        store = ReportStore(self.site.results_path, self.dag_id)

        def keep(target: Path) -> None:
            store.write(run_id, {DOCS: (target / _PAGE).read_bytes()})

        self._dbt = DbtCommand(site=self.site, run_id=run_id, task_id=self.task_id)
        self._dbt.run(["docs", "generate", "--static"], made=keep)
        where = store.location(run_id, DOCS)
        self.log.info("%s", where)
        return {"docs": where}

    def on_kill(self) -> None:
        """End dbt."""
        if self._dbt is not None:
            self._dbt.stop()
