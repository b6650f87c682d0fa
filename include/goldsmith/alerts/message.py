"""What is sent: some events of one run, in words for whichever channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from goldsmith.alerts.event import Event
from goldsmith.spec.alerts import (
    DEADLINE_MISSED,
    EVENTS,
    GATE_BLOCKED,
    GATE_WAITING,
    MODEL_FAILED,
    RECOVERED,
    REPORT_FAILED,
    RUN_FINISHED,
    SOURCE_STALE,
    TASK_FAILED,
    TEST_FAILED,
    TEST_WARNED,
)
from goldsmith.wording import some

MOST = 20
"""Events told in full; of the others the titles."""
_NAMED = 40
_MESSAGE = 1500  # letters of what dbt said
_ORDER = tuple(EVENTS)
_COUNTED = {
    MODEL_FAILED: ("model failed", "models failed"),
    TEST_FAILED: ("test failed", "tests failed"),
    TEST_WARNED: ("test warned", "tests warned"),
    GATE_BLOCKED: ("gate blocked", "gates blocked"),
    GATE_WAITING: ("gate waits for a person", "gates wait for a person"),
    SOURCE_STALE: ("source is stale", "sources are stale"),
    TASK_FAILED: ("task failed", "tasks failed"),
    RECOVERED: ("recovered", "recovered"),
    DEADLINE_MISSED: ("deadline missed", "deadlines missed"),
    REPORT_FAILED: ("report failed", "reports failed"),
    RUN_FINISHED: ("run finished", "runs finished"),
}
_MARKS = {RECOVERED: "✓", RUN_FINISHED: "•", TEST_WARNED: "!", GATE_WAITING: "?"}


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a channel is to say.

    Args:
        route: Name of the route it goes by.
        events: What it is about; at least one.
    """

    route: str
    events: tuple[Event, ...]

    @classmethod
    def of(cls, route: str, events: Sequence[Event]) -> Message:
        """A message, what is worst first."""
        ordered = sorted(events, key=lambda event: (_ORDER.index(event.kind), event.subject))
        return cls(route=route, events=tuple(ordered))

    @property
    def subject(self) -> str:
        """One line: where, and what."""
        first = self.events[0]
        where = f"[{first.environment}] {first.pipeline}" if first.environment else first.pipeline
        what = first.title if len(self.events) == 1 else self.counts
        return f"{where}: {what}"

    @property
    def counts(self) -> str:
        """How many of what."""
        numbers = Counter(event.kind for event in self.events)
        return ", ".join(
            f"{numbers[kind]} {_COUNTED[kind][numbers[kind] > 1]}" for kind in _ORDER if numbers[kind]
        )

    @property
    def is_bad(self) -> bool:
        """Whether something is wrong."""
        return any(event.is_bad for event in self.events)

    @property
    def told(self) -> tuple[Event, ...]:
        """The events that are told in full."""
        return self.events[:MOST]

    @property
    def others(self) -> tuple[str, ...]:
        """Titles of those that are not."""
        titles = [event.title for event in self.events[MOST : MOST + _NAMED]]
        rest = len(self.events) - MOST - _NAMED
        return (*titles, *([f"and {rest} more"] if rest > 0 else []))

    @property
    def text(self) -> str:
        """All of it in plain text."""
        parts = [self.subject, *(event_text(event) for event in self.told)]
        if self.others:
            parts.append("\n".join(["Also:", *(f"  {title}" for title in self.others)]))
        return "\n\n".join(parts)

    @property
    def html(self) -> str:
        """All of it as a page for a mail program: styles stand in the elements, nothing is loaded."""
        return _MAIL.get_template("mail.html").render(
            message=self, facts=event_facts, said=event_message, mark=mark_of
        )


def mark_of(event: Event) -> str:
    """A sign before its title."""
    return _MARKS.get(event.kind, "✗")


def event_facts(event: Event) -> Iterator[tuple[str, str]]:
    """What is known of it, name and value."""
    known = {
        "owner": event.owner,
        "layer": event.layer,
        "since": event.since,
        "last green": event.last_green,
        "holds back": some(event.blocks),
        "run": event.run_id,
        "reproduce": event.command,
    }
    yield from ((name, value) for name, value in known.items() if value)


def event_message(event: Event) -> str:
    """dbt's words, not without end."""
    text = event.message.strip()
    return text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]} …"


def event_text(event: Event) -> str:
    """An event in plain text."""
    lines = [f"{mark_of(event)} {event.title}"]
    lines += [f"    {line}" for line in event_message(event).splitlines()]
    lines += [f"    {line}" for line in rows_text(event).splitlines()]
    lines += [f"  {name}: {value}" for name, value in event_facts(event)]
    lines += [f"  {name}: {url}" for name, url in event.links.items()]
    return "\n".join(lines)


def rows_text(event: Event) -> str:
    """The failing rows, columns side by side."""
    return event.rows.text if event.rows is not None else ""


_MAIL = Environment(
    loader=PackageLoader("goldsmith.alerts"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
