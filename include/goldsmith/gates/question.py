"""What a person is asked about a layer that is blocked, and what an answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from goldsmith.gate_rules.base import VERDICT_BLOCK
from goldsmith.gates.verdict import APPROVED, REJECTED, UNANSWERED, Override, Verdict
from goldsmith.wording import counted, some

APPROVE, REJECT = "Approve", "Reject"
REASON = "reason"
ASKED_KEY = "asked"
"""Key in the state store of a gate's task: which try asked, about which verdict, and until when it waits."""
_NAMED = 8  # tasks
_LETTERS = 160  # of a message
_CHOICE = (
    f"**{APPROVE}**: the next layer builds without what failed and what reads it, and the run may end green. "
    f"**{REJECT}**: nothing below is built. A reason is needed for both."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedTask:
    """A task that failed itself, for the person who is asked."""

    task_id: str
    message: str
    """What dbt says of it; empty if nothing is kept."""
    url: str
    """Its page in Airflow; empty if the address is not known."""

    def line(self) -> str:
        """One line of Markdown."""
        name = f"[`{self.task_id}`]({self.url})" if self.url else f"`{self.task_id}`"
        said = " ".join(self.message.split())
        short = said if len(said) <= _LETTERS else f"{said[: _LETTERS - 1]}…"
        # As code: what a database says may look like markup.
        return f"{name}: `{short.replace('`', chr(39))}`" if short else name


def subject_of(verdict: Verdict, pipeline: str) -> str:
    """The question in one line."""
    return f"{pipeline}: let {verdict.layer} pass, although its gate blocks?"


def body_of(verdict: Verdict, failed: Sequence[FailedTask]) -> str:
    """What has to be known for an answer, as Markdown; short, so that the buttons below it are seen at once.

    Args:
        verdict: The verdict.
        failed: The tasks of the layer that failed themselves.
    """
    shown = {one.task_id for one in failed}
    held = len([task for task in verdict.stopped_by if task not in shown])
    limits = [
        f"`{one.rule}` {one.shown}, {one.allowed}" for one in verdict.rules if one.outcome == VERDICT_BLOCK
    ]
    parts = [
        some([f"- {one.line()}" for one in failed], _NAMED, between="\n"),
        f"Not green besides: {counted(held, 'task')} of {verdict.layer}, held back or not run."
        if held
        else "",
        f"What blocks: {'; '.join(limits)}.",
        _CHOICE,
    ]
    return "\n\n".join(filter(None, parts))


def override_of(
    chosen: Sequence[str], params: Mapping[str, Any], by: str, at: datetime | str
) -> Override | None:
    """What an answer decides; None where it gives no reason, and so does not count."""
    reason = str(params.get(REASON) or "").strip()
    if not reason:
        return None
    return Override(
        decision=APPROVED if APPROVE in chosen else REJECTED,
        by=by or "unknown",
        at=at.isoformat(timespec="seconds") if isinstance(at, datetime) else at,
        reason=reason,
    )


def unanswered(at: datetime, why: str) -> Override:
    """Nobody answered in time, which is a no."""
    return Override(
        decision=UNANSWERED,
        by="",
        at=at.isoformat(timespec="seconds"),
        reason=why,
    )
