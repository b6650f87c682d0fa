"""A running Airflow with pipelines on the shared engine, and what is to be known of their runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import psycopg

from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan
from goldsmith.rest import RestClient, Run, TaskInstance
from goldsmith.rest.transport import run_path
from goldsmith.results.record import NodeResult
from goldsmith.results.store import ResultStore
from goldsmith.stack.stack import Stack

LIMIT = 200.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was to be seen of a run at one moment."""

    run: Run
    tasks: Mapping[str, TaskInstance]
    records: Mapping[str, tuple[NodeResult, ...]]

    @property
    def states(self) -> dict[str, str | None]:
        """Task id to state."""
        return {task_id: task.state for task_id, task in self.tasks.items()}

    @property
    def not_green(self) -> dict[str, str | None]:
        """Task id to state, of the tasks that are not green."""
        return {task_id: state for task_id, state in self.states.items() if state != "success"}

    def tries(self, task_ids: Iterable[str]) -> dict[str, int]:
        """Task id to the number of its last try on a worker."""
        return {task_id: self.tasks[task_id].try_number for task_id in task_ids}

    def untouched_since(self, before: Seen) -> set[str]:
        """Ids of the tasks that are as they were at an earlier moment."""
        return {task_id for task_id, task in self.tasks.items() if task == before.tasks[task_id]}

    def invocations(self, since: Seen | None = None) -> set[str]:
        """dbt's ids of the commands that ran, of those after an earlier moment."""
        mine = {one.invocation_id for records in self.records.values() for one in records}
        return mine - since.invocations() if since else mine

    def built_since(self, before: Seen) -> dict[str, int]:
        """Task id to how often dbt came to its node after an earlier moment."""
        times = {
            task_id: len(kept) - len(before.records.get(task_id, ()))
            for task_id, kept in self.records.items()
        }
        return {task_id: number for task_id, number in times.items() if number}


@dataclass(frozen=True, kw_only=True)
class Lab:
    """The stack, its pipelines and its warehouse."""

    api: RestClient
    stack: Stack
    plans: Mapping[str, Plan]
    results: ResultStore

    def nodes(self, pipeline: str) -> set[str]:
        """The ids of the tasks that are dbt nodes."""
        return {node.task_id for node in self.plans[pipeline].nodes}

    def named(self, pipeline: str, name: str) -> list[str]:
        """The ids of a task, of a layer's nodes (`silver.`), or of the build of silver (`build`)."""
        if name == "build":
            return ["silver.build" if "silver.build" in self.builds(pipeline) else "build"]
        return [
            one
            for one in sorted(self.nodes(pipeline))
            if one == name or (name[-1] == "." and one.startswith(name))
        ]

    def builds(self, pipeline: str) -> set[str]:
        """The ids of the builds."""
        return {build.task_id for build in self.plans[pipeline].builds}

    def graph(self, pipeline: str) -> PlanGraph:
        """The pipeline's tasks and edges."""
        return PlanGraph(self.plans[pipeline])

    def control(self, pipelines: Iterable[str], **values: int) -> None:
        """Decide what fails."""
        for pipeline in pipelines:
            for key, value in values.items():
                self.sql(
                    f"insert into lab.control values ('{pipeline}.{key}', {value}) "
                    "on conflict (key) do update set value = excluded.value"
                )

    def sql(self, statement: str) -> None:
        """Change the warehouse."""
        with psycopg.connect(self.stack.server.conninfo("warehouse"), autocommit=True) as session:
            session.execute(statement.encode())

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the warehouse."""
        with psycopg.connect(self.stack.server.conninfo("warehouse")) as session:
            return session.execute(query.encode()).fetchall()

    def start(self, pipelines: Iterable[str], **conf: object) -> dict[str, Run]:
        """Start a run of each, with these parameters."""
        return {pipeline: self.api.trigger(pipeline, conf=conf or None) for pipeline in pipelines}

    def finished(self, runs: Mapping[str, Run]) -> dict[str, Seen]:
        """Wait until all have ended."""
        return {pipeline: self._finished(run) for pipeline, run in runs.items()}

    def clear(self, run: Run, task_ids: Iterable[str], **how: bool) -> set[str]:
        """Clear tasks and return the ids of all that were cleared.

        Args:
            run: The run.
            task_ids: The tasks.
            how: `include_downstream`, `include_upstream`.
        """
        body = {
            "dry_run": False,
            "dag_run_id": run.run_id,
            "task_ids": sorted(task_ids),
            "only_failed": False,
            "reset_dag_runs": True,
            **how,
        }
        found = self.api.send("POST", f"/api/v2/dags/{run.dag_id}/clearTaskInstances", body=body)
        return {one["task_id"] for one in found["task_instances"]}

    def clear_run(self, run: Run, *, only_failed: bool) -> None:
        """Clear a run as the button on its page does."""
        body = {"dry_run": False, "only_failed": only_failed}
        self.api.send("POST", f"{run_path(run.dag_id, run.run_id)}/clear", body=body)

    def see(self, run: Run) -> Seen:
        """Look at a run."""
        ids = (run.dag_id, run.run_id)
        return Seen(
            run=self.api.run(*ids),
            tasks={task.task_id: task for task in self.api.task_instances(*ids)},
            records={task: self.results.read(*ids, task) for task in self.results.task_ids(*ids)},
        )

    def log(self, run: Run, task: TaskInstance) -> str:
        """The text of the log of a task's try."""
        return "\n".join(f"{line.text}\n{line.error}" for line in self.api.logs(run.dag_id, run.run_id, task))

    def warnings(self, run: Run, text: str) -> int:
        """In how many tasks' logs of a run a text stands as a warning."""
        tasks = [task for task in self.see(run).tasks.values() if task.try_number]
        lines = [line for task in tasks for line in self.api.logs(run.dag_id, run.run_id, task)]
        return sum(text in line.text and line.level == "warning" for line in lines)

    def run_note(self, run: Run, texts: Iterable[str] = ()) -> str:
        """The note on a run, as soon as it holds these texts."""
        end = time.monotonic() + LIMIT
        while True:
            note = str(self.api.send("GET", run_path(run.dag_id, run.run_id)).get("note") or "")
            if all(text in note for text in texts):
                return note
            assert time.monotonic() < end, f"{note!r} lacks {texts}"
            time.sleep(0.5)

    def note(self, run: Run, task_id: str) -> str:
        """The note on a task."""
        found = self.api.send("GET", f"{run_path(run.dag_id, run.run_id)}/taskInstances/{task_id}")
        return found["note"] or ""

    def until_state(self, run: Run, task_id: str, state: str) -> None:
        """Wait until a task is in a state."""
        self.until(lambda: self.see(run).states.get(task_id) == state, f"{task_id} {state}")

    def _finished(self, run: Run) -> Seen:
        self.until(lambda: self.api.run(run.dag_id, run.run_id).is_finished, f"the end of {run}")
        return self.see(run)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something."""
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, f"waited {LIMIT:.0f} s for {what}"
            time.sleep(0.4)
