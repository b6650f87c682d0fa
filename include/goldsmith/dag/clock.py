"""A time of day as what a deadline of Airflow refers to: Airflow itself knows only fixed moments.

It is loaded with the plugin, in every process of Airflow, so it imports nothing that is not there already.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk.definitions.deadline import BaseDeadlineReference

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass(eq=False)
class TimeOfDay(BaseDeadlineReference):
    """The first moment at or after which a run was to begin at which clocks show a time.

    Args:
        clock: Hours and minutes, `06:00`.
        timezone: Where the clock hangs, an IANA name.
    """

    clock: str = "00:00"
    timezone: str = "UTC"

    required_kwargs = {"dag_id", "run_id"}  # noqa: RUF012 - so Airflow declares it

    def serialize_reference(self) -> dict[str, Any]:
        """What Airflow stores."""
        return {**super().serialize_reference(), "clock": self.clock, "timezone": self.timezone}

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> TimeOfDay:
        """Read what Airflow stores."""
        return cls(clock=reference_data["clock"], timezone=reference_data["timezone"])

    def after(self, begin: datetime) -> datetime:
        """The moment for a run.

        Args:
            begin: When the run was to begin, with its time zone.
        """
        zone = ZoneInfo(self.timezone)
        day, clock = begin.astimezone(zone).date(), time.fromisoformat(self.clock)
        days = (day, day + timedelta(days=1))
        # An hour that comes twice is met twice, one that is left out an hour later. Moments are compared, not clocks.
        shown = [datetime.combine(one, clock, zone).replace(fold=fold) for one in days for fold in (0, 1)]
        moments = [one.astimezone(UTC) for one in shown if not one.fold or _is_shown(one)]
        return min(one for one in moments if one >= begin).astimezone(zone)

    def _evaluate_with(self, *, session: Session, **kwargs: Any) -> datetime | None:
        """Asked by the scheduler or the API server when the run is made; none for a backfill, which is late anyhow."""
        from airflow.models import DagRun
        from airflow.utils.types import DagRunType
        from sqlalchemy import select

        found = session.execute(
            select(DagRun.run_after, DagRun.run_type).where(
                DagRun.dag_id == kwargs["dag_id"], DagRun.run_id == kwargs["run_id"]
            )
        ).one_or_none()
        if found is None or found.run_type == DagRunType.BACKFILL_JOB:
            return None
        return self.after(found.run_after)


def _is_shown(moment: datetime) -> bool:
    """Whether clocks ever show it: not, where they are put forward over it."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo).replace(tzinfo=None) == moment.replace(
        tzinfo=None
    )
