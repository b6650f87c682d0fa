"""What a user writes about the report of each run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator

from goldsmith.spec.alerts import Channel
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


class Publish(SpecModel):
    """A place to which the reports are copied.

    Example:
        >>> Publish.model_validate("s3://aws_default@reports/dbt").keep
        30
    """

    to: str = Field(min_length=1)
    """A folder, or a URL of object storage as Airflow has it: `s3://connection@bucket/prefix`, `gs://`, `abfs://`."""
    keep: int = Field(30, ge=1, le=10_000)
    """Of how many runs they are kept there."""
    url: str = ""
    """Where a browser finds the place; then links in messages lead there."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """It may be written as the place alone."""
        return {"anyOf": [{"type": "string"}, handler.resolve_ref_schema(handler(core))]}

    @model_validator(mode="before")
    @classmethod
    def _from_a_place(cls, value: Any) -> Any:
        return {"to": value} if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no address that a browser opens: it begins with https://")
        return url


class Send(Channel):
    """A mail, or a message in Slack, with the reports."""

    attach: bool = True
    """Whether the reports come with it; else where they are."""
    only_failed: bool = False
    """Whether only failed runs are sent."""

    @model_validator(mode="after")
    def _takes_files(self) -> Send:
        if self.type not in ("email", "slack"):
            raise ValueError(f"reports go by email and slack; {self.type} takes alerts (docs/alerts.md)")
        return self


class Report(SpecModel):
    """The report that is made as the last task of a run."""

    report_timeout: Duration = timedelta(minutes=15)
    """Time of the task, beside the run's."""
    on_report_failure: Literal["warn", "fail"] = "warn"
    """`warn`: the run stays as it is; `fail`: a run without its reports is red."""
    keep: int = Field(30, ge=1, le=10_000)
    """Of how many runs the reports are kept."""
    dbt_docs: bool = False
    """Whether dbt's own documentation is made beside it, as one page."""
    publish: tuple[Publish, ...] = ()
    """Places to which the reports are copied."""
    send: tuple[Send, ...] = ()
    """Who is sent the reports."""
    elementary: Elementary | None = Elementary()
    """Elementary's report beside it; none: nothing of Elementary."""

    _some_time = field_validator("report_timeout")(some_time)
