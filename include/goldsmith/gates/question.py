"""What a person is asked about a layer that is blocked, and what an answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from goldsmith.gate_rules.base import VERDICT_BLOCK
from goldsmith.gates.verdict import APPROVED, REJECTED, UNANSWERED, Override, Verdict
from goldsmith.wording import some

APPROVE, REJECT = "Approve", "Reject"
REASON = "reason"
_NAMED = 30  # tasks
_CHOICE = (
    f"**{APPROVE}**: the next layer builds without what failed and what reads it, and the run may end green. "
    f"**{REJECT}**: nothing below is built. A reason is needed for both."
)


def subject_of(verdict: Verdict, pipeline: str) -> str:
    """The question in one line."""
    return f"{pipeline}: let {verdict.layer} pass, although its gate blocks?"


def body_of(verdict: Verdict) -> str:
    """What has to be known for an answer, as Markdown."""
    rows = [
        f"| {one.rule} | {one.shown} | {one.allowed} |"
        for one in verdict.rules
        if one.outcome == VERDICT_BLOCK
    ]
    tasks = [f"- `{task}`: {state}" for task, state in sorted(verdict.stopped_by.items())]
    return "\n".join(
        [
            "| what blocks | measured | limit |",
            "|---|---|---|",
            *rows,
            "",
            some(tasks, _NAMED, between="\n"),
            "",
            _CHOICE,
        ]
    )


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
