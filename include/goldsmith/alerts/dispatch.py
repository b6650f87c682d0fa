"""Tell the events of a run to whoever has to know, once: which channel by which route, now or after quiet hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from goldsmith.alerts.deliver import Delivery, deliver
from goldsmith.alerts.event import Event
from goldsmith.alerts.ledger import Incident, Ledger, Waiting
from goldsmith.alerts.routing import routes_of
from goldsmith.spec.alerts import GATE_WAITING, RECOVERED, Alerts, Route

_AT_ONCE = (GATE_WAITING,)


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
        """Tell what cannot wait, each event on its own: by urgent routes, and questions by all."""
        done = []
        for event in events:
            routes = [
                route for route in routes_of(event, self.alerts) if route.urgent or event.kind in _AT_ONCE
            ]
            for channel, route in _channels(routes).items():
                if self.ledger.was_told(event, channel, at_once=True):
                    continue
                # Noted before it is sent: Airflow may call twice for one failure, and then both at once.
                self.ledger.note_told([event], channel, is_alone=True)
                done.append(deliver(self.alerts, channel, route.name, [event]))
        return done

    def tell_missed(self, event: Event) -> list[Delivery]:
        """Tell that a deadline has passed, by all its routes: it is over when the run, or a later one, ends well."""
        channels = _channels(route for route in routes_of(event, self.alerts) if not self._is_quiet(route))
        done = [deliver(self.alerts, channel, route.name, [event]) for channel, route in channels.items()]
        told = tuple(one.channel for one in done if not one.error)
        incident = Incident(event=event, since=self.now.isoformat(timespec="seconds"), channels=told)
        self.ledger.keep_incidents({**self.ledger.incidents(), event.key: incident})
        return done

    def tell(self, events: Sequence[Event], recovered: Mapping[str, Event]) -> list[Delivery]:
        """Tell all events of a run that has ended, one message for each route and channel.

        Args:
            events: What is wrong, or worth a word.
            recovered: What was wrong and is no longer, by the keys of the incidents.
        """
        incidents = self.ledger.incidents()
        known = [self._since(event, incidents) for event in events]
        self._open(known, incidents)
        todo, waiting = self._sorted_out(known, incidents)
        self._recover(recovered, incidents, todo, waiting)
        done = []
        for (route, channel), some in todo.items():
            sent = deliver(self.alerts, channel, route, some)
            done.append(sent)
            if sent.error:
                continue
            self.ledger.note_told(some, channel)
            _note_known(some, channel, incidents)
        self.ledger.keep_waiting(waiting)
        self.ledger.keep_incidents(incidents)
        return done

    def _since(self, event: Event, incidents: Mapping[str, Incident]) -> Event:
        before = incidents.get(event.key)
        return (
            replace(event, since=before.since, last_green=before.event.last_green)
            if before and event.is_bad
            else event
        )

    def _open(self, events: Iterable[Event], incidents: dict[str, Incident]) -> None:
        for event in events:
            if event.is_bad and event.key not in incidents:
                incidents[event.key] = Incident(
                    event=event, since=event.since or self.now.isoformat(timespec="seconds")
                )

    def _sorted_out(
        self, events: Iterable[Event], incidents: dict[str, Incident]
    ) -> tuple[dict[tuple[str, str], list[Event]], list[Waiting]]:
        """What is told now, by route and channel, and what waits."""
        todo: dict[tuple[str, str], list[Event]] = defaultdict(list)
        held: dict[str, list[Event]] = defaultdict(list)
        waiting = []
        routes = {route.name: route for route in self.alerts.routes}
        for one in self.ledger.waiting():
            if (route := routes.get(one.route)) is None:
                continue
            if self._is_quiet(route):
                waiting.append(one)
            else:
                todo[one.route, one.channel].append(one.event)
        for event in events:
            for channel, route in _channels(routes_of(event, self.alerts)).items():
                if self._was_told(event, channel):
                    _note_known([event], channel, incidents)
                elif self._is_quiet(route):
                    waiting[:] = [
                        one for one in waiting if (one.channel, one.event.key) != (channel, event.key)
                    ]
                    waiting.append(Waiting(route=route.name, channel=channel, event=event))
                    held[channel].append(event)
                else:
                    todo[route.name, channel].append(event)
        for channel, some in held.items():
            self.ledger.note_told(some, channel)  # so that it waits once
        return todo, waiting

    def _was_told(self, event: Event, channel: str) -> bool:
        at_once = event.kind in _AT_ONCE or any(route.urgent for route in self.alerts.routes)
        return self.ledger.was_told(event, channel, at_once=at_once)

    def _recover(
        self,
        recovered: Mapping[str, Event],
        incidents: dict[str, Incident],
        todo: dict[tuple[str, str], list[Event]],
        waiting: list[Waiting],
    ) -> None:
        """Tell those who know of an incident that it is over; who has not heard of it yet never will."""
        for key, event in recovered.items():
            incident = incidents.pop(key)
            unheard = {one.channel for one in waiting if one.event.key == key}
            waiting[:] = [one for one in waiting if one.event.key != key]
            for some in todo.values():
                some[:] = [one for one in some if one.key != key]
            told = replace(event, since=incident.since)
            self.ledger.forget(replace(incident.event, run_id=event.run_id), incident.channels)
            for channel, route in _channels(routes_of(told, self.alerts)).items():
                if channel in {*incident.channels} - unheard and not self._was_told(told, channel):
                    todo[route.name, channel].append(told)
        for way in [way for way, some in todo.items() if not some]:
            del todo[way]

    def _is_quiet(self, route: Route) -> bool:
        return not route.urgent and route.quiet is not None and route.quiet.holds(self.now)


def _channels(routes: Iterable[Route]) -> dict[str, Route]:
    """The channels that routes lead to, each with the first that leads there."""
    found: dict[str, Route] = {}
    for route in routes:
        for channel in route.channels:
            found.setdefault(channel, route)
    return found


def _note_known(events: Iterable[Event], channel: str, incidents: dict[str, Incident]) -> None:
    for event in events:
        incident = incidents.get(event.key)
        if event.kind != RECOVERED and incident is not None and channel not in incident.channels:
            incidents[event.key] = replace(incident, channels=(*incident.channels, channel))
