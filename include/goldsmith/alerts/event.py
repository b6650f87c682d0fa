"""What happened, with all that a person needs to act on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from goldsmith.results.record import FailingRows
from goldsmith.spec.alerts import GATE_WAITING, RECOVERED, RUN_FINISHED, TEST_WARNED


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One thing that happened in a run."""

    kind: str
    """See `goldsmith.spec.alerts.EVENTS`."""
    subject: str
    """What it is about: a node's unique id, a gate's or another task's id, a deadline, the pipeline."""
    title: str
    """One line."""
    pipeline: str
    run_id: str
    environment: str = ""
    name: str = ""
    """Of the node, as a person knows it."""
    task_id: str = ""
    layer: str = ""
    owner: str = ""
    group: str = ""
    """dbt group."""
    tags: tuple[str, ...] = ()
    severity: str = "error"
    """`error` or `warn`."""
    message: str = ""
    """What dbt or Airflow said."""
    rows: FailingRows | None = None
    """Some of those that made a test fail."""
    since: str = ""
    """When it failed first, ISO 8601; empty where that was now."""
    last_green: str = ""
    """The last run in which it was green, or when that was."""
    blocks: tuple[str, ...] = ()
    """Names of the models that wait for it."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Text to URL."""
    command: str = ""
    """How to see it on a laptop."""

    @property
    def key(self) -> str:
        """What tells it from other events of its pipeline: an incident, from its beginning to its end."""
        return f"{self.pipeline}/{self.subject}"

    @property
    def is_bad(self) -> bool:
        """Whether something is wrong."""
        return self.kind not in (RECOVERED, RUN_FINISHED, TEST_WARNED, GATE_WAITING)

    def without_rows(self) -> Event:
        """The same, for eyes that may not see data."""
        return replace(self, rows=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Event:
        """Make an event of what `to_dict` gave, after a way through JSON."""
        rows = values.get("rows")
        read = {**values, "tags": tuple(values["tags"]), "blocks": tuple(values["blocks"])}
        if rows:
            read["rows"] = FailingRows(
                columns=tuple(rows["columns"]), rows=tuple(tuple(row) for row in rows["rows"])
            )
        return cls(**read)
