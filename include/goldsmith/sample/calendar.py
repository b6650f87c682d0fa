"""The span of time the invented data covers, and its days and seconds as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

END = date(2026, 11, 1)
"""The day after the last transaction. Fixed, so that the files never depend on the clock."""

LATE_DAYS = 14
"""No row arrives later than this; exchange rates reach as far back."""

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class Calendar:
    """Days from `start` to `END` (exclusive), preceded by the days late rows fall on."""

    days: int
    iso_days: tuple[str, ...] = field(repr=False)
    clock: tuple[str, ...] = field(repr=False)

    @classmethod
    def for_rows(cls, rows: int) -> Calendar:
        """Two months of history for a small file, up to two years for a large one."""
        days = max(60, min(730, rows // 10_000))
        start = END - timedelta(days=days + LATE_DAYS)
        # A day more at the end: what happens on the last evening may be sent after midnight.
        span = [start + timedelta(days=number) for number in range(days + LATE_DAYS + 2)]
        return cls(
            days=days,
            iso_days=tuple(day.isoformat() for day in span),
            clock=tuple(
                f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
                for second in range(SECONDS_PER_DAY)
            ),
        )

    def iso(self, second: int) -> str:
        """Return the moment `second` seconds after the first day as 2026-10-31 14:05:09."""
        return f"{self.iso_days[second // SECONDS_PER_DAY]} {self.clock[second % SECONDS_PER_DAY]}"
