"""A client of Airflow's REST API v2, without knowledge of who started Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from goldsmith.errors import ApiRefused
from goldsmith.rest.marking import Marking
from goldsmith.rest.questions import Questions
from goldsmith.rest.records import (
    ComponentHealth,
    Dag,
    ImportFailure,
    LogLine,
    Run,
    TaskInstance,
    read_dag,
    read_log_line,
    read_run,
    read_task_instance,
    read_time,
)
from goldsmith.rest.transport import Query, quoted, run_path

PAGE = 100  # Airflow's default [api] maximum_page_limit
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class RestClient(Marking, Questions):
    """Airflow's REST API at one address.

    Every method raises `EnvironmentProblem` where Airflow does not answer, and `ApiRefused` (a
    kind of it) where it answers with an error. Use as a context manager, or call `close`.

    Example:
        >>> with RestClient("http://localhost:8080", Login(password="...")) as api:
        ...     api.trigger("customer_transactions")
    """

    def version(self) -> str:
        """The version of Airflow."""
        return str(self.send("GET", "/api/v2/version", needs_login=False)["version"])

    def health(self) -> dict[str, ComponentHealth]:
        """Each component's health, by the names in `COMPONENTS`."""
        found = self.send("GET", "/api/v2/monitor/health", needs_login=False)
        return {
            name: ComponentHealth(
                is_healthy=(part := found.get(name) or {}).get("status") == "healthy",
                last_heartbeat=read_time(part.get(f"latest_{name}_heartbeat")),
            )
            for name in COMPONENTS
        }

    def dag(self, dag_id: str) -> Dag | None:
        """One DAG, or None where Airflow knows none of that name."""
        try:
            return read_dag(self.send("GET", f"/api/v2/dags/{quoted(dag_id)}"))
        except ApiRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def unpause(self, dag_id: str) -> None:
        """Let the DAG's runs go."""
        self.send("PATCH", f"/api/v2/dags/{quoted(dag_id)}", body={"is_paused": False})

    def parse_now(self, dag: Dag) -> None:
        """Ask the dag-processor to parse the DAG's file before others."""
        try:
            self.send("PUT", f"/api/v2/parseDagFile/{quoted(dag.file_token)}")
        except ApiRefused as error:
            if error.status != httpx.codes.CONFLICT:  # already asked
                raise

    def make_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool if there is none of that name; one that there is keeps its slots."""
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        try:
            self.send("POST", "/api/v2/pools", body=body)
        except ApiRefused as error:
            if error.status != httpx.codes.CONFLICT:
                raise

    def import_errors(self) -> list[ImportFailure]:
        """The DAG files that cannot be imported."""
        return [
            ImportFailure(
                file=one["filename"],
                stack_trace=one.get("stack_trace") or "",
                time=read_time(one.get("timestamp")),
            )
            for one in self._pages("/api/v2/importErrors", "import_errors")
        ]

    def trigger(self, dag_id: str, *, conf: Mapping[str, Any] | None = None) -> Run:
        """Start a run.

        Raises:
            ConfigurationError: `conf` does not fit the DAG's parameters.
        """
        body = {"logical_date": None, "conf": dict(conf or {})}
        return read_run(self.send("POST", f"/api/v2/dags/{quoted(dag_id)}/dagRuns", body=body))

    def run(self, dag_id: str, run_id: str) -> Run:
        """One run."""
        return read_run(self.send("GET", run_path(dag_id, run_id)))

    def runs(self, dag_id: str, *, limit: int = 10) -> list[Run]:
        """The latest runs, newest first."""
        query: dict[str, Query] = {"limit": limit, "order_by": "-run_after"}
        return [
            read_run(one)
            for one in self.send("GET", f"/api/v2/dags/{quoted(dag_id)}/dagRuns", query=query)["dag_runs"]
        ]

    def active_runs(self) -> list[Run]:
        """The runs of all DAGs that have not ended, oldest first."""
        query: dict[str, Query] = {"state": ("queued", "running"), "order_by": "id"}
        return [read_run(one) for one in self._pages("/api/v2/dags/~/dagRuns", "dag_runs", **query)]

    def task_instances(
        self, dag_id: str, run_id: str, *, since: datetime | None = None
    ) -> list[TaskInstance]:
        """The tasks of a run; with `since`, those that changed after it."""
        query: dict[str, Query] = {"order_by": "id"}
        if since is not None:
            query["updated_at_gte"] = since.isoformat()
        path = f"{run_path(dag_id, run_id)}/taskInstances"
        return [read_task_instance(one) for one in self._pages(path, "task_instances", **query)]

    def logs(self, dag_id: str, run_id: str, task: TaskInstance) -> list[LogLine]:
        """The log of a task's latest try; empty where it never ran on a worker."""
        path = (
            f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task.task_id)}/logs/{max(task.try_number, 1)}"
        )
        query: dict[str, Query] = {"full_content": "true", "map_index": task.map_index}
        try:
            found = self.send("GET", path, query=query)
        except ApiRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return []
            raise
        return [read_log_line(one) for one in found.get("content", [])]

    def node_results(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """What dbt said about a task's node: `records`, oldest first, and the `path` that was looked at.

        Raises:
            ApiRefused: Also where this Airflow has no Goldsmith to ask.
        """
        ids = "/".join(map(quoted, (dag_id, run_id, task_id)))
        try:
            found = self.send("GET", f"/goldsmith/results/{ids}")
            return {"path": found["path"], "records": found["records"]}
        except ApiRefused as error:
            if error.status:
                raise
            raise ApiRefused(  # Airflow answers every unknown address with its web page
                f"Airflow at {self.base_url} has no page of what dbt said.",
                hint="Install Goldsmith also where its API server runs.",
            ) from error

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """The value that a task has left; None where it left none."""
        path = f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}/xcomEntries/{quoted(key)}"
        try:
            return self.send("GET", path)["value"]
        except ApiRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def kept_by_task(
        self, dag_id: str, run_id: str, task_id: str, key: str, *, since: datetime | None = None
    ) -> Any:
        """A value in the state store of a task.

        Args:
            dag_id: The DAG.
            run_id: Its run.
            task_id: The task.
            key: The value's.
            since: None for what was kept before that.

        Returns:
            The value; None if there is none.
        """
        path = f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}/state-store/{quoted(key)}"
        try:
            found = self.send("GET", path)
        except ApiRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise
        is_old = since is not None and datetime.fromisoformat(found["updated_at"]) < since
        return None if is_old else found["value"]

    def reports(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Where the reports of a run lie: the `path` of its page, and the `files` there are, by name.

        Raises:
            ApiRefused: Also where there is no such run, or this Airflow has no Goldsmith to ask.
        """
        found = self.send("GET", f"/goldsmith/reports/{quoted(dag_id)}/{quoted(run_id)}")
        return {"path": found["path"], "files": found["files"]}

    def update_assets(self, dag_id: str, run_id: str, task_id: str, uris: Sequence[str]) -> tuple[str, ...]:
        """Note that a task has updated assets of its DAG, at most 1,000 at once.

        Returns:
            Those that were noted; the others are for Airflow: something waits for them.

        Raises:
            ApiRefused: Nothing was noted; also where this Airflow has no Goldsmith to ask.
        """
        ids = "/".join(map(quoted, (dag_id, run_id, task_id)))
        found = self.send("POST", f"/goldsmith/assets/{ids}", body={"uris": list(uris)})
        return tuple(map(str, found["updated"]))

    def clear(
        self, dag_id: str, run_id: str, task_ids: Sequence[str], *, downstream: bool = False
    ) -> list[TaskInstance]:
        """Let tasks of a run run again, whatever their state, and the run with them."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "include_downstream": downstream,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        found = self.send("POST", f"/api/v2/dags/{quoted(dag_id)}/clearTaskInstances", body=body)
        return [read_task_instance(one) for one in found["task_instances"]]

    def clear_failed(self, dag_id: str, run_id: str) -> list[str]:
        """Let the tasks of a run that failed or were held back run again; their ids."""
        path = f"{run_path(dag_id, run_id)}/clear"
        found = self.send("POST", path, body={"dry_run": False, "only_failed": True})
        return [str(one["task_id"]) for one in found.get("task_instances", ())]

    def _pages(self, path: str, part: str, **query: Query) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            found = self.send("GET", path, query={**query, "limit": PAGE, "offset": offset})
            yield from found[part]
            offset += len(found[part])
            if not found[part] or offset >= found["total_entries"]:
                return
