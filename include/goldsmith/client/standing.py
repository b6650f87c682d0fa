"""How each pipeline stands: its last run, what is red in it, since when, and what waits for a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from goldsmith.client.progress import FAILED
from goldsmith.errors import GoldsmithError
from goldsmith.rest import RestClient, Run, TaskInstance
from goldsmith.wording import some

_LOOKED_AT = 50  # runs, for since when a pipeline is red
_NAMED = 3
_LATE = (".gate", ".reconcile")
"""Ends of the ids of tasks that are red because others are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a pipeline stands."""

    pipeline: str
    last: Run | None
    """Its newest run that was to build something."""
    red: tuple[str, ...] = ()
    """Ids of the tasks that failed in the last run that ended."""
    red_since: datetime | None = None
    """When the first of the red runs in a row began."""
    red_runs: int = 0
    waiting: tuple[str, ...] = ()
    """Ids of the gates that wait for a person."""

    def lines(self) -> list[str]:
        """What a person reads."""
        if self.last is None:
            return [f"{self.pipeline}: has not run yet"]
        when = f" since {_moment(self.last.started)}" if self.last.started else ""
        ended = f", {_moment(self.last.ended)}" if self.last.ended else when
        found = [f"{self.pipeline}: {self.last.state}{ended} ({self.last.run_id})"]
        if self.waiting:
            found.append(f"  waits for a person: {', '.join(self.waiting)}")
        if self.red_since:
            runs = f", {self.red_runs} runs in a row" if self.red_runs > 1 else ""
            found.append(f"  red since {_moment(self.red_since)}{runs}: {some(self.red, _NAMED)}")
        return found


def standings(api: RestClient, pipelines: Iterable[str]) -> list[Standing]:
    """How pipelines stand.

    Args:
        api: The Airflow.
        pipelines: Their names.

    Raises:
        EnvironmentProblem: Airflow does not answer.
    """
    return [_standing(api, name) for name in pipelines]


def _standing(api: RestClient, pipeline: str) -> Standing:
    runs = [run for run in api.runs(pipeline, limit=_LOOKED_AT) if not run.is_dry]
    if not runs:
        return Standing(pipeline=pipeline, last=None)
    red = _red_in_a_row(runs)
    return Standing(
        pipeline=pipeline,
        last=runs[0],
        red=_red_tasks(api.task_instances(pipeline, red[0].run_id)) if red else (),
        red_since=red[-1].started if red else None,
        red_runs=len(red),
        waiting=() if runs[0].is_finished else _waiting(api, runs[0]),
    )


def _red_in_a_row(runs: Sequence[Run]) -> list[Run]:
    """The newest runs that ended red, without a green one between them; newest first."""
    found = []
    for run in (one for one in runs if one.is_finished):
        if run.state == "success":
            break
        found.append(run)
    return found


def _red_tasks(tasks: Iterable[TaskInstance]) -> tuple[str, ...]:
    red = [task.task_id for task in tasks if task.state in FAILED]
    own = [task_id for task_id in red if not task_id.endswith(_LATE)]
    return tuple(own or red)


def _waiting(api: RestClient, run: Run) -> tuple[str, ...]:
    tasks = api.task_instances(run.dag_id, run.run_id)
    asking = [task for task in tasks if task.is_asking and task.task_id.endswith(".gate")]
    return tuple(task.task_id for task in asking if _asks(api, run, task))


def _asks(api: RestClient, run: Run, task: TaskInstance) -> bool:
    try:
        question = api.question(run.dag_id, run.run_id, task.task_id)
    except GoldsmithError:
        return False
    return question is not None and not question.is_answered


def _moment(time: datetime | None) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M}" if time else ""
