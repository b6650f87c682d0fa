"""What a user writes about the report of each run."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator

from goldsmith.spec.base import Duration, SpecModel, some_time


class Elementary(SpecModel):
    """Elementary's report of the last days, where its dbt package is installed."""

    days_back: int = Field(7, ge=1, le=365)
    """How far it looks back."""
    executions_limit: int = Field(720, ge=1)
    """Of how many executions of a model or test it shows the times."""
    samples: bool = True
    """Whether it shows failing rows."""
    timeout: Duration = timedelta(minutes=15)
    """Of the task that makes it, beside the run's."""
    memory_mb: int = Field(2048, ge=512)
    """Most memory of the process that makes it, in MiB."""

    _some_time = field_validator("timeout")(some_time)


class Report(SpecModel):
    """The report that is made as the last task of a run."""

    report_timeout: Duration = timedelta(minutes=15)
    """Time of the task, beside the run's."""
    on_report_failure: Literal["warn", "fail"] = "warn"
    """`warn`: the run stays as it is; `fail`: a run without its reports is red."""
    keep: int = Field(30, ge=1, le=10_000)
    """Of how many runs the reports are kept."""
    elementary: Elementary | None = Elementary()
    """Elementary's report beside it; none: nothing of Elementary."""

    _some_time = field_validator("report_timeout")(some_time)
