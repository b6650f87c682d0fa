"""The gate that asks a person where it blocks, and waits without a worker.

Airflow 3.3.2 takes a task that is answered within seconds for lost: its first part has ended, and the executor says so
only after the answer has set the task going again. Its next try finds the answer that was given to the try before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from goldsmith.airflow_pages import RESULT_TAB, task_url
from goldsmith.engine.access import airflow_api
from goldsmith.engine.build_state import StateStore
from goldsmith.engine.gate.task import GateTask
from goldsmith.engine.packed import pack, unpack
from goldsmith.errors import GoldsmithError
from goldsmith.gate_rules.base import VERDICT_BLOCK
from goldsmith.gates.question import (
    APPROVE,
    ASKED_KEY,
    REASON,
    REJECT,
    FailedTask,
    body_of,
    override_of,
    subject_of,
    unanswered,
)
from goldsmith.gates.verdict import Override, Verdict
from goldsmith.parameters import is_dry
from goldsmith.rest.questions import Question
from goldsmith.run_limit import bounded
from goldsmith.settings import airflow_url

_RESUMES = "execute_complete"


class AskingGateTask(GateTask):
    """A gate that asks a person where it blocks.

    Args:
        on_ask: Called with the run and the verdict when it has begun to wait.
    """

    def __init__(self, *, on_ask: Callable[[str, Verdict], None] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.on_ask = on_ask

    def execute(self, context: Context) -> dict[str, object]:
        """Judge the layer; where that blocks, ask, unless an earlier try got an answer.

        Raises:
            TaskAwaitingInput: It asks.
            AirflowFailException: Somebody has rejected the layer.
        """
        if (given := self._given_before(context)) is not None:
            verdict, override = given
            self.log.info("An earlier try has asked, and was answered.")
            return self.conclude(verdict.decided(override), context)
        verdict = self.judged(context)
        if verdict.verdict != VERDICT_BLOCK or is_dry(context):
            return self.conclude(verdict, context)
        if self._time(context) is None:
            return self._too_late(verdict, context)
        for line in verdict.lines():
            self.log.info("%s", line)
        context["ti"].xcom_push(key="return_value", value=verdict.to_dict())  # to be seen while it waits
        store = cast("StateStore", context["task_state_store"])
        ti = context["ti"]
        kept = {"max_tries": ti.max_tries, "try": ti.try_number, "verdict": pack(verdict.to_dict())}
        store.set(ASKED_KEY, kept | self._limit(context))
        if self.on_ask is not None:
            self.on_ask(context["run_id"], verdict)
        return self._ask(verdict, context)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, object]:
        """Go on with the answer, or without one when the time for it is over.

        Raises:
            TaskAwaitingInput: The answer has no reason, so it asks again.
            AirflowFailException: The layer was rejected, or nobody answered in time.
        """
        kept = cast("StateStore", context["task_state_store"]).get(ASKED_KEY)
        verdict = Verdict.from_dict(unpack(kept["verdict"]))
        if "error" in event:
            waited = f"no answer within {kept.get('waits') or self.limits.ask_timeout}"
            override: Override | None = unanswered(datetime.now(UTC), waited)
        else:
            override = override_of(
                event.get("chosen_options") or (),
                event.get("params_input") or {},
                _name_of(event.get("responded_by_user")),
                event.get("responded_at") or datetime.now(UTC),
            )
        if override is None:
            self.log.warning("The answer gives no reason, so it does not count; the question is asked again.")
            return self._ask(verdict, context)
        return self.conclude(verdict.decided(override), context)

    def _time(self, context: Context) -> timedelta | None:
        """How long it may wait for an answer; None where the run's time is over."""
        started, limit = context["dag_run"].start_date, self.site.run_timeout
        try:
            time = bounded(self.limits.ask_timeout, run_started=started, run_timeout=limit)
        except AirflowFailException:
            return None
        return timedelta(seconds=round(time.total_seconds()))

    def _limit(self, context: Context) -> dict[str, str]:
        """How long it waits, and until when, as ISO 8601; for people who look at it from outside."""
        time = self._time(context) or timedelta()
        return {"waits": str(time), "until": (datetime.now(UTC) + time).isoformat(timespec="seconds")}

    def _too_late(self, verdict: Verdict, context: Context) -> dict[str, object]:
        why = f"nobody was asked: the run's time limit of {self.site.run_timeout} is over"
        return self.conclude(verdict.decided(unanswered(datetime.now(UTC), why)), context)

    def _ask(self, verdict: Verdict, context: Context) -> dict[str, object]:
        time = self._time(context)
        if time is None:
            return self._too_late(verdict, context)
        reason = Param("", type="string", minLength=1, title="Reason", description="Kept with the verdict.")
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=[APPROVE, REJECT],
            subject=subject_of(verdict, self.site.target.dag_id),
            body=body_of(verdict, self._failed(verdict, context["run_id"])),
            params={REASON: reason.serialize()},
        )
        self._say_how(context, time)
        raise TaskAwaitingInput(method_name=_RESUMES, timeout=time)

    def _failed(self, verdict: Verdict, run_id: str) -> list[FailedTask]:
        """The tasks of the nodes that failed, with what dbt says of them."""
        graph = self.site.graph
        failed = [
            node
            for task in graph.tasks
            for node in graph.tasks[task]
            if node.unique_id in set(verdict.failed)
        ]
        lasts = self.site.results.last(run_id, failed)
        said = {node.task_id: last.message for node in failed if (last := lasts.get(node.unique_id))}
        url, dag_id = airflow_url(), self.site.target.dag_id
        return [
            FailedTask(
                task_id=task_id,
                message=said.get(task_id, ""),
                url=task_url(url, dag_id, run_id, task_id, tab=RESULT_TAB) if url else "",
            )
            for task_id in dict.fromkeys(node.task_id for node in failed)
        ]

    def _say_how(self, context: Context, time: timedelta) -> None:
        dag_id, run_id = self.site.target.dag_id, context["run_id"]
        self.log.info(
            "Waiting %s for an answer: on the page of this task, or goldsmith gate approve '%s' %s --pipeline %s "
            "--reason '...'",
            time,
            run_id,
            self.gate.layer,
            dag_id,
        )

    def _given_before(self, context: Context) -> tuple[Verdict, Override] | None:
        """What an earlier try has asked and the answer to it; a clear makes both void."""
        ti = context["ti"]
        kept = cast("StateStore", context["task_state_store"]).get(ASKED_KEY)
        if not kept or kept["max_tries"] != ti.max_tries or kept["try"] >= ti.try_number:
            return None
        try:
            found = self._answered(context["run_id"], kept["try"])
        except GoldsmithError as error:
            self.log.warning("Whether an earlier try was answered cannot be told: %s", error)
            return None
        if found is None:
            return None
        override = override_of(found.chosen, found.params, found.by, found.answered or datetime.now(UTC))
        return (Verdict.from_dict(unpack(kept["verdict"])), override) if override else None

    def _answered(self, run_id: str, asked_by: int) -> Question | None:
        """The question of an earlier try, where it was answered.

        It stands with this task still, or where Airflow has made a new task instance for this try, with that try.
        """
        ids = (self.site.target.dag_id, run_id, self.task_id)
        with airflow_api() as api:
            found = (api.question(*ids, try_number=number) for number in (None, asked_by))
            return next((one for one in found if one is not None and one.is_answered), None)


def _name_of(user: Any) -> str:
    """A user as Airflow's serializer gives it: a mapping, or an object."""
    return str(user.get("name") if isinstance(user, Mapping) else getattr(user, "name", None) or "")
