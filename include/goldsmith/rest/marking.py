"""Setting the state of tasks that Airflow has not run, and whether one may."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from goldsmith.errors import ApiRefused
from goldsmith.rest.records import OthersMarks, Run
from goldsmith.rest.transport import Query, Transport, quoted, run_path

NOTE_LENGTH = 1000  # Airflow's limit
FAILED_NOTE = "Failed: "
"""Begin of the paragraph in the note on a run that says why it is red."""
_LOOKS = 4
_MARK_EVENTS = ("patch_task_instance", "patch_task_group_instances")
_NO_SUCH = "goldsmith-asks-whether-it-may"


class Marking(Transport):
    """The requests that change tasks of a run.

    None is sent again by itself where no answer came: Airflow may have done the work, so read the states first.
    """

    def mark_done(
        self,
        dag_id: str,
        run_id: str,
        tasks: Mapping[str, tuple[str, str]],
        gate: Mapping[str, Any] | None = None,
    ) -> tuple[str, ...]:
        """Set tasks that have no state to success, through Goldsmith's own route in the API server.

        Cheap and exact: thousands of tasks take a second, and no state that a task has is overwritten.

        Args:
            dag_id: The DAG.
            run_id: Its run.
            tasks: Task id to when its node began and ended, as ISO 8601; empty where that is not known.
            gate: A gate that is to be set with them, if then all that it judges is green or skipped.

        Returns:
            Ids of the tasks that were set, the gate's among them.

        Raises:
            ApiRefused: Nothing was done; status 404 where the API server has no such route: Goldsmith is not
                installed there.
            EnvironmentProblem: No answer; they may have been set.
        """
        body: dict[str, Any] = {
            "tasks": [
                {"task_id": task_id, "started": started or None, "ended": ended or None}
                for task_id, (started, ended) in tasks.items()
            ]
        }
        body |= {"gate": gate} if gate else {}
        return self._mark(dag_id, run_id, body)

    def _mark(self, dag_id: str, run_id: str, body: Mapping[str, Any]) -> tuple[str, ...]:
        """Send a request to Goldsmith's own route, and give the ids of the tasks that were set."""
        path = f"/goldsmith/marks/{quoted(dag_id)}/{quoted(run_id)}"
        # Asked again, it does no harm: so a frozen API server need not be waited for.
        found = self.send("POST", path, body=body, timeout=20.0)
        return tuple(str(task_id) for task_id in found["marked"])

    def mark_compared(self, dag_id: str, run_id: str, compared: Mapping[str, Any]) -> bool:
        """Set the task of a comparison to success, if its build still runs and what it looked at is still green.

        Args:
            dag_id: The DAG.
            run_id: Its run.
            compared: As `goldsmith.view.compared` takes it.

        Returns:
            Whether it was set.

        Raises:
            ApiRefused: As `mark_done`.
            EnvironmentProblem: No answer; it may have been set.
        """
        return bool(self._mark(dag_id, run_id, {"tasks": [], "compared": dict(compared)}))

    def mark_as(self, state: str, dag_id: str, run_id: str, task_ids: Iterable[str]) -> tuple[str, ...]:
        """Set tasks that have no state to skipped or failed, in the same way; see `mark_done`."""
        body = {"tasks": [{"task_id": task_id, "state": state} for task_id in task_ids]}
        return self._mark(dag_id, run_id, body)

    def note(self, dag_id: str, run_id: str, task_id: str, text: str) -> None:
        """Put a note on a task, shown beside it in the UI; the empty text takes it away.

        What is longer than Airflow accepts (1,000 characters) is cut.
        """
        path = f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}"
        self.send("PATCH", path, body={"note": _cut(text)})

    def note_on_run(self, dag_id: str, run_id: str, text: str, *, replacing: str = "") -> None:
        """Add a paragraph to the note on a run, above what stands there already; cut as a task's.

        Airflow replaces notes whole, so whoever adds one at the same moment may take this one away: it looks again.

        Args:
            dag_id: The DAG.
            run_id: Its run.
            text: What is added; empty for nothing.
            replacing: Paragraphs that begin with this are taken away, if it is not empty.
        """
        path = run_path(dag_id, run_id)
        for _ in range(_LOOKS):
            before = self.send("GET", path).get("note") or ""
            note = _with_paragraph(before, text, replacing)
            if note == before:
                return
            try:
                self.send("PATCH", path, body={"note": _cut(note)})
            except ApiRefused as error:
                if error.status != httpx.codes.CONFLICT:  # both have made the first note
                    raise
            time.sleep(random.uniform(0.2, 1.0))  # noqa: S311 - no secret

    def can_mark(self, dag_id: str) -> None:
        """Return where this login may mark the DAG's tasks; change nothing.

        Raises:
            ApiRefused: It may not (status 403), the login is wrong (401), or Goldsmith is not installed in the API
                server (404).
            EnvironmentProblem: No answer.
        """
        self.mark_done(dag_id, _NO_SUCH, {})

    def cancel_run(self, dag_id: str, run_id: str) -> None:
        """Set a run to failed: Airflow ends its running tasks and skips the others, and teardowns still run."""
        self.send("PATCH", run_path(dag_id, run_id), body={"state": "failed"})

    def cancelled_by(self, run: Run) -> str:
        """Who has set a run to failed since it started or was cleared; empty for nobody, or if that is not known."""
        query: dict[str, Query] = {
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "included_events": ("patch_dag_run",),
            "order_by": "-id",
            "limit": 10,
        }
        if run.started:
            query["after"] = run.started.isoformat()
        try:
            found = self.send("GET", "/api/v2/eventLogs", query=query)["event_logs"]
        except ApiRefused:  # this login may not read Airflow's audit log
            return ""
        by = (str(one.get("owner") or "somebody") for one in found if _sets_to_failed(one.get("extra")))
        return next(by, "")

    def marks_by_others(self, dag_id: str, run_id: str) -> OthersMarks:
        """Who set tasks of a run to a state, besides this login; from Airflow's audit log.

        Airflow 3.3 writes nothing there for a request that marks several tasks one by one.

        Raises:
            ApiRefused: The login may not read it.
            EnvironmentProblem: No answer.
        """
        query: dict[str, Query] = {
            "dag_id": dag_id,
            "run_id": run_id,
            "included_events": _MARK_EVENTS,
            "order_by": "id",
            "limit": 1000,
        }
        found = self.send("GET", "/api/v2/eventLogs", query=query)
        tasks: dict[str, str] = {}
        groups: dict[str, str] = {}
        for one in found["event_logs"]:
            who = str(one.get("owner") or "")
            if who and who != self.user:
                body = json.loads(one.get("extra") or "{}")
                tasks |= {str(one["task_id"]): who} if one.get("task_id") else {}
                groups |= {str(body["group_id"]): who} if body.get("group_id") else {}
        return OthersMarks(tasks=tasks, groups=groups)


def _with_paragraph(note: str, text: str, replacing: str) -> str:
    parts = [one for one in note.split("\n\n") if one and not (replacing and one.startswith(replacing))]
    kept = "\n\n".join(parts)
    return kept if text in kept else f"{text}\n\n{kept}".strip()


def _cut(text: str) -> str:
    return text if len(text) <= NOTE_LENGTH else f"{text[: NOTE_LENGTH - 1]}…"


def _sets_to_failed(request: str | None) -> bool:
    found = json.loads(request or "{}")
    return isinstance(found, dict) and found.get("state") == "failed"
