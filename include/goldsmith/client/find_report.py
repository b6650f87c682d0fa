"""`goldsmith report`: where the report of a run lies, and how to look at it."""

from __future__ import annotations

import webbrowser
from dataclasses import asdict, dataclass, field
from pathlib import Path

from goldsmith.airflow_pages import report_url
from goldsmith.client.airflow import Airflow, running_airflow
from goldsmith.client.find_run import LATEST, find_run, no_such_run
from goldsmith.errors import ConfigurationError
from goldsmith.report.store import FILES, PAGE, ReportStore
from goldsmith.rest import RestClient
from goldsmith.settings import Settings
from goldsmith.stack.environment import RESULTS
from goldsmith.stack.stack import Stack, local_stack


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


def find_report(here: Settings, dag_id: str, run_id: str | None) -> RunReport:
    """The reports of a run.

    The local stack keeps them on this machine, so it need not run; another Airflow is asked.

    Args:
        here: Settings of this process.
        dag_id: The pipeline.
        run_id: The run; `latest` or None for the latest that has a report.

    Raises:
        ConfigurationError: There is no such run, or it has no report.
        EnvironmentProblem: The Airflow does not answer.
    """
    wanted = None if run_id == LATEST else run_id
    if here.airflow is None:
        return _on_this_machine(local_stack(here), dag_id, wanted)
    airflow = running_airflow(here)
    with airflow.api as api:
        return _of_airflow(airflow, dag_id, wanted or _last_ended(api, dag_id))


def _of_airflow(airflow: Airflow, dag_id: str, run_id: str) -> RunReport:
    chosen = find_run(airflow.api, dag_id, run_id).run_id
    found = airflow.api.reports(dag_id, chosen)
    files = {str(name): str(where) for name, where in found["files"].items()}
    if PAGE not in files:
        raise _no_report(dag_id, chosen, found["path"])
    return RunReport(
        dag_id=dag_id,
        run_id=chosen,
        path=str(found["path"]),
        url=report_url(airflow.url, dag_id, chosen),
        files=files,
    )


def _on_this_machine(stack: Stack, dag_id: str, run_id: str | None) -> RunReport:
    store = ReportStore(stack.env()[RESULTS], dag_id)
    known = [one for one, _ in reversed(store.runs())]
    if not known:
        raise ConfigurationError(f"No run of {dag_id} has a report yet.", hint=f"goldsmith run {dag_id}")
    chosen = run_id or known[0]
    files = {name: store.location(chosen, name) for name in FILES if store.read(chosen, name) is not None}
    if PAGE not in files and chosen not in known:
        raise no_such_run(dag_id, chosen, known)
    if PAGE not in files:
        raise _no_report(dag_id, chosen, store.location(chosen))
    return RunReport(
        dag_id=dag_id,
        run_id=chosen,
        path=files[PAGE],
        url=report_url(stack.url, dag_id, chosen),
        files=files,
    )


def _last_ended(api: RestClient, dag_id: str) -> str:
    ended = [run for run in api.runs(dag_id) if run.is_finished and not run.is_dry]
    if not ended:
        raise ConfigurationError(f"No run of {dag_id} has ended yet.", hint=f"goldsmith run {dag_id}")
    return ended[0].run_id


def _no_report(dag_id: str, run_id: str, path: object) -> ConfigurationError:
    return ConfigurationError(
        f"There is no report of run {run_id} of {dag_id}: nothing at {path}.",
        hint="The run's last task makes it: goldsmith logs report. A pipeline with `report: null` has none.",
    )
