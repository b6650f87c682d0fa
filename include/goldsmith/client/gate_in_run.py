"""`goldsmith gate`: what a gate said in a run, and a person's answer to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from goldsmith.client.find_run import find_run
from goldsmith.errors import ApiRefused, ConfigurationError, SelectionError
from goldsmith.gates.question import APPROVE, ASKED_KEY, REASON, REJECT
from goldsmith.gates.verdict import Verdict, decision_text
from goldsmith.rest import RestClient
from goldsmith.rest.records import ASKING, read_time
from goldsmith.wording import did_you_mean

# Airflow 3.3.2 takes a task that is answered sooner for lost; its next try finds the answer, a while later.
_PATIENCE = 10.0


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

    def until(self) -> datetime | None:
        """When a question that nobody has answered counts as rejected; None if that is not known."""
        kept = self.api.kept_by_task(self.pipeline, self.run_id, self.task_id, ASKED_KEY)
        return read_time(kept.get("until") or None) if isinstance(kept, Mapping) else None

    def commands(self) -> list[str]:
        """The commands that answer."""
        rest = f"'{self.run_id}' {self.layer} --pipeline {self.pipeline} --reason '...'"
        return [f"  goldsmith gate {verb} {rest}" for verb in ("approve", "reject")]

    def lines(self) -> list[str]:
        """What there is to be seen of it."""
        verdict, state = self.verdict(), self.state
        if state in ASKING:
            waits = f"{self.task_id} waits for an answer:"
            return [*(verdict.lines() if verdict else ()), waits, *self.commands()]
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
        if self.state not in ASKING or asked is None or asked.is_answered:
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
    chosen = find_run(api, pipeline, run_id).run_id
    gates = [one.task_id for one in api.task_instances(pipeline, chosen) if one.task_id.endswith(".gate")]
    layers = [gate.removesuffix(".gate") for gate in gates]
    if layer not in layers:
        raise SelectionError(f"There is no gate of {layer!r} in that run. {did_you_mean(layer, layers)}")
    return GateInRun(api=api, pipeline=pipeline, run_id=chosen, layer=layer)
