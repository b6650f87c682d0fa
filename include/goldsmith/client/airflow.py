"""Which Airflow a command talks to: the one the user named, else the local stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from goldsmith.airflow_pages import task_url
from goldsmith.errors import EnvironmentProblem
from goldsmith.rest import Login, RestClient, TaskInstance
from goldsmith.settings import Settings
from goldsmith.stack.interruption import refuse_interrupted
from goldsmith.stack.stack import Stack, local_stack


@dataclass(frozen=True, kw_only=True, slots=True)
class Airflow:
    """An Airflow that runs."""

    api: RestClient
    url: str
    """Of its web page."""
    stack: Stack | None
    """None where the user named it."""
    was_started: bool = False
    """Whether this command started it."""

    def check(self) -> None:
        """Raise if it is the local stack and does not work any more.

        Raises:
            EnvironmentProblem: It was stopped, has died, or a disk is full.
        """
        if self.stack is not None:
            refuse_interrupted(self.stack)

    def task_url(self, dag_id: str, run_id: str, task: TaskInstance) -> str:
        """The page of a task in a run, with its log."""
        return task_url(self.url, dag_id, run_id, task.task_id, map_index=task.map_index)


def running_airflow(here: Settings) -> Airflow:
    """Reach the Airflow that runs.

    Raises:
        EnvironmentProblem: None does.
    """
    if here.airflow is not None:
        return _named(here)
    stack = local_stack(here)
    if not stack.is_up():
        raise EnvironmentProblem("The local stack is not running.", hint="Start it: goldsmith up")
    return Airflow(api=stack.api(), url=stack.url, stack=stack)


def started_airflow(here: Settings, report: Callable[[str], None]) -> Airflow:
    """Reach the Airflow that runs; start the local stack where it does not.

    Raises:
        EnvironmentProblem: It does not start, or the named one does not answer.
    """
    if here.airflow is not None:
        return _named(here)
    stack = local_stack(here, report)
    was_started = stack.up()
    return Airflow(api=stack.api(), url=stack.url, stack=stack, was_started=was_started)


def _named(here: Settings) -> Airflow:
    access = here.airflow
    if access is None:
        raise EnvironmentProblem("No Airflow is named.", hint="export GOLDSMITH_AIRFLOW_URL=https://...")
    login = Login(user=access.user, password=access.password, token=access.token)
    api = RestClient(access.url, login)
    api.version()
    return Airflow(api=api, url=access.url, stack=None)
