"""`goldsmith gate`: what a gate said in a run, and a person's answer to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from goldsmith.errors import ApiRefused, ConfigurationError, SelectionError
from goldsmith.gates.question import APPROVE, REASON, REJECT
from goldsmith.gates.verdict import Verdict, decision_text
from goldsmith.rest import RestClient
from goldsmith.wording import did_you_mean

LATEST = "latest"
_WAITS = ("awaiting_input", "deferred")
# Airflow 3.3.2 takes a task that is answered sooner for lost; its next try finds the answer, a while later.
_PATIENCE = 10.0
_RUNS = 20  # that are offered where one is not found


@dataclass(frozen=True, kw_only=True)
class GateInRun:
    """The gate of a layer in a run.

    Args:
        api: The Airflow.
        pipeline: The pipeline.
        run_id: The run.
        layer: The layer.
    """

    api: RestClient
    pipeline: str
    run_id: str
    layer: str

    @property
    def task_id(self) -> str:
        """The gate's task."""
        return f"{self.layer}.gate"

    @property
    def state(self) -> str | None:
        """Airflow's state of the gate."""
        tasks = self.api.task_instances(self.pipeline, self.run_id)
        return next((task.state for task in tasks if task.task_id == self.task_id), None)

    def verdict(self) -> Verdict | None:
        """What it said last; None where it has not said anything."""
        values: dict[str, Any] | None = self.api.xcom(self.pipeline, self.run_id, self.task_id)
        return Verdict.from_dict(values) if values else None

    def lines(self) -> list[str]:
        """What there is to be seen of it."""
        verdict, state = self.verdict(), self.state
        if state in _WAITS:
            return [*(verdict.lines() if verdict else ()), self._waiting()]
        return (
            verdict.lines() if verdict else [f"{self.task_id} is {state or 'not started'}: no verdict yet."]
        )

    def answer(self, *, approve: bool, reason: str, report: Callable[[str], None]) -> None:
        """Let the layer pass, or refuse that.

        Args:
            approve: Which.
            reason: Why; kept with the verdict.
            report: Called with a line for each step.

        Raises:
            ConfigurationError: There is no reason, or the gate asks nothing.
        """
        if not reason.strip():
            raise ConfigurationError(
                "A reason is needed: it is kept with the verdict.",
                hint="--reason 'known since Monday, ticket 42'",
            )
        asked = self.api.question(self.pipeline, self.run_id, self.task_id)
        if self.state not in _WAITS or asked is None or asked.is_answered:
            raise self._not_asking()
        begun = asked.asked or datetime.now(UTC)
        left = _PATIENCE - (datetime.now(UTC) - begun).total_seconds()
        if left > 0:
            report(f"The gate has just asked; answering in {left:.0f} s")
            time.sleep(left)
        try:
            self.api.answer(
                self.pipeline,
                self.run_id,
                self.task_id,
                option=APPROVE if approve else REJECT,
                params={REASON: reason.strip()},
            )
        except ApiRefused as error:
            if error.status in (httpx.codes.CONFLICT, httpx.codes.NOT_FOUND):
                raise self._not_asking() from error
            raise

    def _waiting(self) -> str:
        again = (
            f"goldsmith gate approve '{self.run_id}' {self.layer} --pipeline {self.pipeline} --reason '...'"
        )
        return f"{self.task_id} waits for an answer: {again}"

    def _not_asking(self) -> ConfigurationError:
        """Why there is nothing to answer."""
        state, verdict = self.state, self.verdict()
        if verdict and verdict.override and state in ("success", "failed"):
            return ConfigurationError(
                f"The gate of {self.layer} is decided in run {self.run_id}. {decision_text(verdict.override)}",
                hint="To have it asked again, clear its task.",
            )
        if state == "success":
            return ConfigurationError(
                f"The gate of {self.layer} has passed in run {self.run_id}: nothing to decide."
            )
        if state == "failed":
            return ConfigurationError(
                f"The gate of {self.layer} blocks in run {self.run_id} and asks nobody.",
                hint="Fix the cause and retry the failed tasks; or write `on_block: ask` for this layer into "
                "`gates` of the pipeline spec, and clear the gate.",
            )
        asked = self.api.question(self.pipeline, self.run_id, self.task_id)
        if asked is not None and asked.is_answered:
            return ConfigurationError(
                f"The gate of {self.layer} was answered by {asked.by or 'somebody'} already, and is {state}.",
                hint=f"goldsmith gate show '{self.run_id}' {self.layer}",
            )
        return ConfigurationError(
            f"The gate of {self.layer} is {state or 'not started'} in run {self.run_id}: it has asked nothing yet.",
            hint="Its layer has to end first.",
        )


def gate_in_run(api: RestClient, pipeline: str, run_id: str, layer: str) -> GateInRun:
    """Find the gate of a layer in a run.

    Args:
        api: The Airflow.
        pipeline: The pipeline.
        run_id: The run's id, or `latest`.
        layer: The layer.

    Raises:
        SelectionError: There is no such run, or it has no such gate.
    """
    known = [run.run_id for run in api.runs(pipeline, limit=_RUNS)]
    if not known:
        raise SelectionError(f"{pipeline} has not run yet.", hint=f"goldsmith run {pipeline}")
    chosen = known[0] if run_id == LATEST else run_id
    if chosen not in known:
        try:
            api.run(pipeline, chosen)
        except ApiRefused as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            raise SelectionError(
                f"{pipeline} has no run {chosen!r}. {did_you_mean(chosen, known)}",
                hint="`latest` is the newest run.",
            ) from error
    gates = [one.task_id for one in api.task_instances(pipeline, chosen) if one.task_id.endswith(".gate")]
    layers = [gate.removesuffix(".gate") for gate in gates]
    if layer not in layers:
        raise SelectionError(f"There is no gate of {layer!r} in that run. {did_you_mean(layer, layers)}")
    return GateInRun(api=api, pipeline=pipeline, run_id=chosen, layer=layer)
