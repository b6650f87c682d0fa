"""What a user writes about the report of each run."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator

from goldsmith.spec.base import Duration, SpecModel, some_time


class Report(SpecModel):
    """The report that is made as the last task of a run."""

    report_timeout: Duration = timedelta(minutes=15)
    """Time of the task, beside the run's."""
    on_report_failure: Literal["warn", "fail"] = "warn"
    """`warn`: the run stays as it is; `fail`: a run without its report is red."""
    keep: int = Field(30, ge=1, le=10_000)
    """Of how many runs the reports are kept."""

    _some_time = field_validator("report_timeout")(some_time)
