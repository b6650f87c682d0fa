"""`goldsmith report`: where the report of a run lies, and how to look at it."""

from __future__ import annotations

import webbrowser
from dataclasses import asdict, dataclass, field
from pathlib import Path

from goldsmith.airflow_pages import report_url
from goldsmith.client.airflow import Airflow
from goldsmith.errors import ConfigurationError

PAGE = "report.html"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """The reports of a run."""

    dag_id: str
    run_id: str
    path: str
    """Where its page lies, as the API server sees it."""
    url: str
    """The run's tab in Airflow that shows it."""
    files: dict[str, str] = field(default_factory=dict)
    """Name to path or URL, of each file there is."""

    def lines(self) -> list[str]:
        """What a person reads."""
        others = [where for name, where in self.files.items() if name != PAGE]
        return [f"Report of run {self.run_id}: {self.path}", *others, f"In Airflow: {self.url}"]

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)

    def open(self) -> bool:
        """Show it in a browser: the file where this machine has it, else Airflow's page; tell whether one opened."""
        file = Path(self.path)
        return webbrowser.open(file.as_uri() if file.is_absolute() and file.is_file() else self.url)


def find_report(airflow: Airflow, dag_id: str, run_id: str | None) -> RunReport:
    """The reports of a run.

    Args:
        airflow: The Airflow to ask.
        dag_id: The pipeline.
        run_id: The run; none for the latest that has ended.

    Raises:
        ConfigurationError: There is no such run, or it has no report.
    """
    runs = [] if run_id else airflow.api.runs(dag_id)
    chosen = run_id or next((run.run_id for run in runs if run.is_finished), None)
    if chosen is None:
        raise ConfigurationError(f"No run of {dag_id} has ended yet.", hint=f"goldsmith run {dag_id}")
    found = airflow.api.reports(dag_id, chosen)
    files = {str(name): str(where) for name, where in found["files"].items()}
    if PAGE not in files:
        raise ConfigurationError(
            f"There is no report of run {chosen} of {dag_id}: nothing at {found['path']}.",
            hint="The run's last task makes it: goldsmith logs report. A pipeline with `report: null` has none.",
        )
    return RunReport(
        dag_id=dag_id,
        run_id=chosen,
        path=str(found["path"]),
        url=report_url(airflow.url, dag_id, chosen),
        files=files,
    )
