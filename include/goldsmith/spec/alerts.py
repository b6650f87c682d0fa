"""Who hears of what a run did, and how."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from goldsmith.spec.base import SpecModel, Timezone, one_or_more
from goldsmith.spec.deadline import Clock
from goldsmith.wording import did_you_mean

MODEL_FAILED, TEST_FAILED, TEST_WARNED = "model_failed", "test_failed", "test_warned"
GATE_BLOCKED, GATE_WAITING = "gate_blocked", "gate_waiting"
SOURCE_STALE, RECOVERED, DEADLINE_MISSED = "source_stale", "recovered", "deadline_missed"
REPORT_FAILED, TASK_FAILED, RUN_FINISHED = "report_failed", "task_failed", "run_finished"
EVENTS = {
    MODEL_FAILED: "a model, seed or snapshot failed, after its last retry",
    TEST_FAILED: "a test or unit test failed",
    TEST_WARNED: "a test warned",
    GATE_BLOCKED: "a gate blocked",
    GATE_WAITING: "a gate waits for a person",
    SOURCE_STALE: "a source is stale",
    TASK_FAILED: "a task that is no dbt node failed: an ingest, a build, a comparison",
    RECOVERED: "what had failed is green again, in this run or the next",
    DEADLINE_MISSED: "a deadline passed",
    REPORT_FAILED: "a report could not be made",
    RUN_FINISHED: "a run has ended, well or not",
}
"""Kind of event to what it means."""
_UNASKED = frozenset(EVENTS) - {TEST_WARNED, RUN_FINISHED}
LOG = "log"
SES = "aws"
"""Type of the Airflow connections by which mails go through Amazon SES."""


Names = Annotated[tuple[str, ...], one_or_more(str)]
"""One or several; `*` and `?` stand for any letters."""


class Channel(SpecModel):
    """Where messages go. Addresses with secrets in them stand in Airflow connections.

    Example:
        >>> Channel(type="email", to=("data@example.com",), connection="smtp_default").type
        'email'
    """

    type: Literal["log", "email", "slack", "teams", "pagerduty", "webhook", "apprise"]
    connection: str = ""
    """Airflow connection; docs/alerts.md says what it holds for each type."""
    to: Names = ()
    """E-mail addresses, or the Slack channel where the connection is a bot's token."""
    sender: str = ""
    """E-mail: the sender; default is that of the connection."""

    @model_validator(mode="after")
    def _complete(self) -> Channel:
        if self.type != LOG and not self.connection:
            raise ValueError(
                f"a channel of type {self.type} needs a `connection`: the id of an Airflow connection"
            )
        if self.type == "email" and not self.to:
            raise ValueError("a channel of type email needs `to`: one address, or several")
        for address in self.to if self.type == "email" else ():
            if "@" not in address or any(letter.isspace() for letter in address):
                raise ValueError(f"{address!r} is no e-mail address")
        if self.to and self.type not in ("email", "slack"):
            raise ValueError(
                f"`to` means nothing in a channel of type {self.type}: its connection says where it goes"
            )
        return self


class Quiet(SpecModel):
    """Hours in which nothing is sent but what is urgent; it is sent with the first run after them."""

    after: Clock
    until: Clock
    timezone: Timezone = "UTC"

    def holds(self, moment: datetime) -> bool:
        """Whether it is quiet at a moment (with a time zone); the end does not belong to it."""
        clock = moment.astimezone(ZoneInfo(self.timezone)).time()
        if self.after <= self.until:
            return self.after <= clock < self.until
        return clock >= self.after or clock < self.until


class Route(SpecModel):
    """Which events go to which channels: those that match all that is named here."""

    name: str = ""
    channels: Names = (LOG,)
    events: Names = ()
    """Kinds of events; none: all but `test_warned` and `run_finished`."""
    owners: Names = ()
    groups: Names = ()
    """dbt groups."""
    tags: Names = ()
    layers: Names = ()
    severities: Names = ()
    """Of tests: error, warn. What is no test counts as error."""
    environments: Names = ()
    """As GOLDSMITH_ENVIRONMENT, or where that is not set the dbt target, says it."""
    urgent: bool = False
    """Send at once and in quiet hours too, each event on its own."""
    quiet: Quiet | None = None

    @field_validator("channels")
    @classmethod
    def _somewhere(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        if not channels:
            raise ValueError("a route leads to a channel, or to several")
        return channels

    @field_validator("events")
    @classmethod
    def _known_events(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        for event in events:
            if event not in EVENTS:
                meant = did_you_mean(event, EVENTS, f"Events: {', '.join(EVENTS)}.")
                raise ValueError(f"{event!r} is no event. {meant}")
        return events

    @field_validator("severities")
    @classmethod
    def _known_severities(cls, severities: tuple[str, ...]) -> tuple[str, ...]:
        for severity in severities:
            if severity not in ("error", "warn"):
                raise ValueError(f"{severity!r} is no severity of a test: write error or warn")
        return severities

    @property
    def wanted(self) -> frozenset[str]:
        """The kinds of events it takes."""
        return frozenset(self.events) or _UNASKED


class Alerts(SpecModel):
    """Channels, and the routes that lead to them.

    Example:
        >>> Alerts.model_validate({"routes": [{"owners": "finance"}]}).routes[0].channels
        ('log',)
    """

    channels: dict[str, Channel] = Field(default_factory=dict)
    """Name to channel; `log`, the task's log, is there without being named."""
    routes: tuple[Route, ...] = (Route(name="route_1"),)
    """An event goes to all routes that match it, and to each channel once."""
    failing_rows: bool = True
    """Whether messages show rows that made a test fail."""
    runbook: str = ""
    """URL of what to do; {node}, {owner} and {pipeline} stand for what an event is about."""

    @field_validator("channels")
    @classmethod
    def _own_names(cls, channels: dict[str, Channel]) -> dict[str, Channel]:
        if LOG in channels:
            raise ValueError("`log` is the task's log and cannot be another channel; choose another name")
        return channels

    @field_validator("routes")
    @classmethod
    def _named_routes(cls, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        if not routes:
            raise ValueError("without routes nobody hears anything; write one, or `alerts: null`")
        named = tuple(
            route if route.name else route.model_copy(update={"name": f"route_{number}"})
            for number, route in enumerate(routes, start=1)
        )
        names = [route.name for route in named]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"two routes are called {twice!r}; give each its own name")
        return named

    def runbook_of(self, *, node: str, owner: str, pipeline: str) -> str:
        """URL of what to do about an event; empty where the spec has none."""
        return self.runbook.format(node=quote(node), owner=quote(owner), pipeline=quote(pipeline))

    @field_validator("runbook")
    @classmethod
    def _known_words(cls, runbook: str) -> str:
        try:
            runbook.format(node="", owner="", pipeline="")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"{runbook!r} may hold {{node}}, {{owner}} and {{pipeline}}, and nothing else: {error}"
            ) from error
        if runbook and not runbook.startswith(("http://", "https://")):
            raise ValueError(f"{runbook!r} is no URL: it begins with https:// or http://")
        return runbook

    @model_validator(mode="after")
    def _known_channels(self) -> Alerts:
        known = [LOG, *self.channels]
        for route in self.routes:
            for name in route.channels:
                if name not in known:
                    meant = did_you_mean(name, known, f"Channels: {', '.join(known)}.")
                    raise ValueError(
                        f"the route {route.name} leads to {name!r}, which is no channel. {meant}"
                    )
        return self
