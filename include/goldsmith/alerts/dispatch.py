"""Tell the events of a run to whoever has to know, once: which channel by which route, now or after quiet hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from goldsmith.alerts.deliver import LONGEST, Delivery, channels_of, deliver
from goldsmith.alerts.event import Event
from goldsmith.alerts.ledger import Incident, Ledger, Waiting, identity_of
from goldsmith.alerts.routing import routes_of
from goldsmith.spec.alerts import DEADLINE_MISSED, GATE_WAITING, RECOVERED, Alerts, Route

_AT_ONCE = (GATE_WAITING,)
_PATIENCE = 8.0  # seconds for what is told at once: Airflow ends a callback after 20, and a try may take 10


@dataclass
class Dispatch:
    """Sends events of a pipeline.

    Args:
        alerts: The spec.
        ledger: What was told before.
        now: The present, with a time zone.
    """

    alerts: Alerts
    ledger: Ledger
    now: datetime

    def tell_at_once(self, events: Iterable[Event]) -> list[Delivery]:
        """Tell what cannot wait, each event on its own: by urgent routes, and questions by all.

        What could not be sent is told with the end of the run; a question too, which that would not tell of itself.
        """
        done = []
        for event in events:
            routes = (
                route for route in routes_of(event, self.alerts) if route.urgent or event.kind in _AT_ONCE
            )
            ways = _channels(routes)
            sent = self._sent_alone(event, ways)
            done += sent
            self._know(event, sent)
            if event.kind in _AT_ONCE:
                self._hold(event, {one.channel: ways[one.channel] for one in sent if one.error})
        return done

    def tell_missed(self, event: Event) -> list[Delivery]:
        """Tell that a deadline has passed, by all its routes: it is over when the run, or a later one, ends well.

        What could not be sent, or falls into quiet hours, is told with the end of a run.
        """
        ways = _channels(routes_of(event, self.alerts))
        loud = {channel: route for channel, route in ways.items() if not self._is_quiet(route)}
        sent = self._sent_alone(event, loud)
        failed = {one.channel for one in sent if one.error}
        self._hold(event, {name: ways[name] for name in ways if name not in loud or name in failed})
        for one in sent:
            if not one.error:  # what waits of an earlier run is no news any more
                self.ledger.release(Waiting(route=one.route, channel=one.channel, event=event))
        self._know(event, sent)
        return sent

    def tell(self, events: Sequence[Event], recovered: Mapping[str, Event]) -> list[Delivery]:
        """Tell all events of a run that has ended, one message for each route and channel.

        Args:
            events: What is wrong, or worth a word.
            recovered: What was wrong and is no longer, by the keys of the incidents.
        """
        book = _Book(self.ledger)
        telling = [self._since(event, book.incidents) for event in events]
        for event in telling:
            book.open(event, self.now)
        for one in self.ledger.waiting():
            self._take_up(one, book)
        for event in telling:
            self._take(event, book)
        for key, event in recovered.items():
            self._recover(key, event, book)
        done = []
        for (route, channel), some in book.todo.items():
            if some:
                done.append(deliver(self.alerts, channel, route, some))
                book.settle(done[-1], some)
        book.close(recovered)
        return done

    def _hold(self, event: Event, ways: Mapping[str, Route]) -> None:
        for channel, route in ways.items():
            self.ledger.hold(Waiting(route=route.name, channel=channel, event=event))

    def _sent_alone(self, event: Event, ways: Mapping[str, Route]) -> list[Delivery]:
        """Noted before it is sent: Airflow may call twice for one failure, and then both at once."""
        done = []
        for channel, route in ways.items():
            if self.ledger.begin(event, channel):
                done.append(deliver(self.alerts, channel, route.name, [event], patience=_patience(event)))
                self.ledger.finish(event, channel, is_told=not done[-1].error)
        return done

    def _know(self, event: Event, sent: Iterable[Delivery]) -> None:
        """Keep who knows of it, so that they hear when it is over, be it before the run's end."""
        if not event.is_bad:
            return
        told = [one.channel for one in sent if not one.error]
        before = self.ledger.incidents().get(event.key)
        incident = before or Incident(event=event, since=self.now.isoformat(timespec="seconds"))
        self.ledger.keep(replace(incident, channels=tuple(dict.fromkeys([*incident.channels, *told]))))

    def _since(self, event: Event, incidents: Mapping[str, Incident]) -> Event:
        before = incidents.get(event.key)
        if before is None or not event.is_bad:
            return event
        return replace(event, since=before.since, last_green=before.event.last_green or event.last_green)

    def _take_up(self, one: Waiting, book: _Book) -> None:
        """Something that waits: it goes on waiting, or is told now."""
        route = next((route for route in self.alerts.routes if route.name == one.route), None)
        if route is None or one.channel not in route.channels:
            self.ledger.release(one)
        else:
            book.waiting[one.identity] = one
            if not self._is_quiet(route):
                book.todo[one.route, one.channel].append(one.event)

    def _take(self, event: Event, book: _Book) -> None:
        for channel, route in _channels(routes_of(event, self.alerts)).items():
            if self._was_told(event, channel):
                book.know([event], channel)
            elif self._is_quiet(route):
                one = Waiting(route=route.name, channel=channel, event=event)
                book.waiting[one.identity] = one
                self.ledger.hold(one)
            else:
                book.drop_same(event, channel)
                book.todo[route.name, channel].append(event)

    def _was_told(self, event: Event, channel: str) -> bool:
        at_once = event.kind in _AT_ONCE or any(route.urgent for route in self.alerts.routes)
        return self.ledger.was_told(event, channel, at_once=at_once)

    def _recover(self, key: str, event: Event, book: _Book) -> None:
        """Tell those who know of an incident that it is over; who has not heard of it yet never will."""
        incident = book.incidents.get(key)
        if incident is None:  # another run has seen it
            return
        if incident.event.kind != DEADLINE_MISSED:  # that it was late is worth knowing all the same
            book.drop_waiting(key)
        told = replace(event, since=incident.since)
        self.ledger.forget(replace(incident.event, run_id=event.run_id), incident.channels)
        for channel in incident.channels:
            route = self._way_back(told, incident.event, channel)
            if route and not self._was_told(told, channel):
                book.todo[route.name, channel].append(told)
                book.still[key].add(channel)

    def _way_back(self, told: Event, before: Event, channel: str) -> Route | None:
        """The route by which a channel hears that it is over; PagerDuty does whatever events its route takes."""
        route = _channels(routes_of(told, self.alerts)).get(channel)
        known = channels_of(self.alerts)
        if route is None and channel in known and known[channel].type == "pagerduty":
            route = _channels(routes_of(before, self.alerts)).get(channel)
        return route

    def _is_quiet(self, route: Route) -> bool:
        return not route.urgent and route.quiet is not None and route.quiet.holds(self.now)


@dataclass
class _Book:
    """What is known while the end of a run is told.

    Args:
        ledger: Where it comes from, and is kept.
    """

    ledger: Ledger
    incidents: dict[str, Incident] = field(init=False)
    todo: dict[tuple[str, str], list[Event]] = field(default_factory=lambda: defaultdict(list))
    """What is told now, by route and channel."""
    waiting: dict[tuple[str, str, str], Waiting] = field(default_factory=dict)
    still: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Of what is over: the channels that have still to hear it."""
    _changed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.incidents = self.ledger.incidents()

    def open(self, event: Event, now: datetime) -> None:
        """Begin an incident, where there is none."""
        if event.is_bad and event.key not in self.incidents:
            since = event.since or now.isoformat(timespec="seconds")
            self.incidents[event.key] = Incident(event=event, since=since)
            self._changed.add(event.key)

    def know(self, events: Iterable[Event], channel: str) -> None:
        """A channel knows of events."""
        for event in events:
            incident = self.incidents.get(event.key)
            if event.kind != RECOVERED and incident is not None and channel not in incident.channels:
                self.incidents[event.key] = replace(incident, channels=(*incident.channels, channel))
                self._changed.add(event.key)

    def drop_same(self, event: Event, channel: str) -> None:
        """Of two runs' events about the same, a channel hears the later."""
        for (_, other), some in self.todo.items():
            if channel == other:
                some[:] = [one for one in some if identity_of(one) != identity_of(event)]

    def drop_waiting(self, key: str) -> None:
        """Let nothing wait that is over."""
        found = [one for one in self.waiting.values() if one.event.key == key]
        for one in found:
            del self.waiting[one.identity]
            self.ledger.release(one)
        for some in self.todo.values():
            some[:] = [event for event in some if event.key != key]

    def settle(self, sent: Delivery, some: Sequence[Event]) -> None:
        """What became of a message; what waited and could not be sent goes on waiting."""
        if sent.error:
            return
        self.ledger.note_told(some, sent.channel)
        self.know(some, sent.channel)
        for event in some:
            if event.kind == RECOVERED:
                self.still[event.key].discard(sent.channel)
            elif (one := self.waiting.pop((sent.channel, *identity_of(event)), None)) is not None:
                self.ledger.release(one)

    def close(self, recovered: Iterable[str]) -> None:
        """Keep what is wrong; what is over stays for the channels that could not be told so."""
        for key in recovered:
            if key in self.incidents and (left := self.still[key]):
                self.incidents[key] = replace(self.incidents[key], channels=tuple(sorted(left)))
                self._changed.add(key)
            else:
                self.incidents.pop(key, None)
                self.ledger.end(key)
        for key in self._changed & self.incidents.keys():
            self.ledger.keep(self.incidents[key])


def _patience(event: Event) -> float:
    """A failure is told by Airflow's callback, which has little time; the others are not."""
    return LONGEST if event.kind in (*_AT_ONCE, DEADLINE_MISSED) else _PATIENCE


def _channels(routes: Iterable[Route]) -> dict[str, Route]:
    """The channels that routes lead to, each with the first that leads there."""
    found: dict[str, Route] = {}
    for route in routes:
        for channel in route.channels:
            found.setdefault(channel, route)
    return found
