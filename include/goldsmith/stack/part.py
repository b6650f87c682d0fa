"""A part of the stack, as `goldsmith status` shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class PartStatus:
    """A part of the stack: `stopped`, `starting`, `healthy` or `unhealthy`."""

    name: str
    state: str
    pid: int | None = None
    starts: int = 0
    detail: str = ""
