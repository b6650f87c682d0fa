"""What a person may ask of a single run: which nodes, and how dbt builds them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from goldsmith.errors import SpecError
from goldsmith.spec.base import SpecModel, explain

PROD = "prod"
MOST_THREADS = 64


def _terms(value: Any) -> Any:
    if value is None:
        return ()
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"a quotation mark is missing: {value}") from error
    if isinstance(value, list | tuple):
        for term in value:
            if str(term).startswith("-"):
                raise ValueError(
                    f"{term!r} is no selection; write names, tag:, path:, source:, + and @ as in dbt"
                )
        return tuple(str(term) for term in value)
    return value


def _moment(value: Any) -> Any:
    if value in (None, ""):
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError(
                f"{value!r} is no date or time; write such as 2026-11-01 or 2026-11-01T06:00"
            ) from error
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)  # as dbt takes it
    return value


Terms = Annotated[tuple[str, ...], BeforeValidator(_terms)]
"""A dbt selection as on dbt's command line: terms with spaces between, of which a node has to match one."""
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
"""ISO 8601; without a time zone UTC is meant."""


class RunOptions(SpecModel):
    """The parameters of one run; empty: everything, as always.

    Example:
        >>> RunOptions.parse({"select": "tag:finance+", "full_refresh": True}, target="dev").select
        ('tag:finance+',)
    """

    select: Terms = ()
    exclude: Terms = ()
    full_refresh: bool = False
    """Build incremental models anew, and load seeds anew."""
    full_refresh_approved: bool = False
    """Needed for `full_refresh` where the target is `prod`."""
    ingest: bool = False
    """Load all raw files, also those of sources that the selection leaves out."""
    vars: dict[str, Any] = Field(default_factory=dict)
    """dbt variables."""
    event_time_start: Moment = None
    """Start of the window of microbatch models."""
    event_time_end: Moment = None
    threads: int | None = Field(None, ge=1, le=MOST_THREADS)
    fail_fast: bool = False
    """Stop at the first node that fails; it fails the build, and what dbt had not come to waits."""
    dry_run: bool = False
    """Build nothing: say what would be built."""

    @model_validator(mode="after")
    def _right_way_round(self) -> RunOptions:
        start, end = self.event_time_start, self.event_time_end
        if (start is None) != (end is None):
            raise ValueError("`event_time_start` and `event_time_end` go together")
        if start is not None and end is not None and start >= end:
            raise ValueError(f"`event_time_start` {start} is not before `event_time_end` {end}")
        return self

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, target: str) -> RunOptions:
        """Check what somebody asks of a run.

        Args:
            values: By name; what is not there, or none, keeps its default.
            target: dbt target of the run.

        Raises:
            SpecError: With one line per fault, and the nearest parameter for an unknown one.
        """
        hint = f"The parameters of a run are {', '.join(cls.model_fields)}."
        if values.get("target") is not None:
            raise SpecError(
                "`target` is no parameter of a run: the DAG, its assets and what is compared afterwards belong to the "
                f"target {target}.",
                hint="Choose it for all runs: `target` in the spec or its `environments`, or GOLDSMITH_TARGET.",
            )
        try:
            # Airflow's form sends each of its fields, those that nobody touched as none.
            found = cls.model_validate({key: value for key, value in values.items() if value is not None})
        except ValidationError as error:
            raise SpecError(
                f"The run's parameters are not valid:\n{explain(error, cls)}", hint=hint
            ) from error
        if found.full_refresh and target == PROD and not found.full_refresh_approved:
            raise SpecError(
                f"`full_refresh` builds the incremental models of the target {PROD} anew, from whatever their sources "
                "still have.",
                hint="Is that meant? Then set full_refresh_approved too.",
            )
        return found

    @property
    def is_selective(self) -> bool:
        """Whether the run may leave nodes out."""
        return bool(self.select or self.exclude or self.dry_run)

    @property
    def changes_parsing(self) -> bool:
        """Whether dbt has to parse the project anew for it, so that the result is no use to other runs."""
        return bool(self.vars)

    def conf(self) -> dict[str, Any]:
        """What differs from the defaults, as the configuration of an Airflow run."""
        found = self.model_dump(mode="json", exclude_defaults=True)
        # The form has a line of text for a selection, and Airflow checks that against what it is given.
        return found | {key: shlex.join(found[key]) for key in ("select", "exclude") if key in found}
