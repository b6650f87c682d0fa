"""Questions that tasks have put to people, and the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from goldsmith.errors import ApiRefused
from goldsmith.rest.records import read_time
from goldsmith.rest.transport import Transport, quoted, run_path


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A task's question, and the answer where there is one."""

    asked: datetime | None
    is_answered: bool
    chosen: tuple[str, ...]
    params: Mapping[str, Any]
    by: str
    """Name of the user who answered; empty for nobody."""
    answered: datetime | None


class Questions(Transport):
    """The requests about questions, Airflow's "required actions"."""

    def question(
        self, dag_id: str, run_id: str, task_id: str, *, try_number: int | None = None
    ) -> Question | None:
        """What a task has asked; None where it has asked nothing.

        Args:
            dag_id: The DAG.
            run_id: Its run.
            task_id: The task.
            try_number: Which of its tries; the present one where none is named.
        """
        path = self._path(dag_id, run_id, task_id)
        try:
            found = self.send("GET", path if try_number is None else f"{path}/tries/{try_number}")
        except ApiRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise
        return Question(
            asked=read_time(found.get("created_at")),
            is_answered=bool(found.get("response_received")),
            chosen=tuple(found.get("chosen_options") or ()),
            params=found.get("params_input") or {},
            by=str((found.get("responded_by_user") or {}).get("name") or ""),
            answered=read_time(found.get("responded_at")),
        )

    def answer(
        self, dag_id: str, run_id: str, task_id: str, *, option: str, params: Mapping[str, Any]
    ) -> None:
        """Answer a task's question.

        Raises:
            ApiRefused: With status 409 where it is answered already, 404 where the task asks nothing.
        """
        body = {"chosen_options": [option], "params_input": dict(params)}
        self.send("PATCH", self._path(dag_id, run_id, task_id), body=body)

    @staticmethod
    def _path(dag_id: str, run_id: str, task_id: str) -> str:
        return f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}/-1/hitlDetails"
