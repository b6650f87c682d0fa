"""What channels were told, so that nobody hears the same thing twice: kept under the results path.

<path>/<dag_id>/<run_id>/alerts.told          of a run: what was told to which channel
<path>/<dag_id>/<run_id>/~<hash>.told         the same, of one event that could not wait for the run's end
<path>/<dag_id>/~reports/incidents            of the pipeline: what is wrong, since when, and which channels know
<path>/<dag_id>/~reports/waiting              events that wait for the end of quiet hours
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from goldsmith.alerts.event import Event
from goldsmith.results.names import folder_name
from goldsmith.results.store import open_files
from goldsmith.spec.alerts import RECOVERED

_TOLD, _INCIDENTS, _WAITING = "alerts.told", "incidents", "waiting"
_PIPELINE = "~reports"


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """Something that is wrong, from its first event to its recovery."""

    event: Event
    """The first one."""
    since: str
    """ISO 8601."""
    channels: tuple[str, ...] = ()
    """Who knows of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """An event that waits for the end of quiet hours."""

    route: str
    channel: str
    event: Event


class Ledger:
    """The ledger of one pipeline.

    Args:
        path: The results path.
        dag_id: The pipeline.

    Every method raises `EnvironmentProblem` where the path cannot be read or written.
    """

    def __init__(self, path: str, dag_id: str) -> None:
        self._files = open_files(path)
        self._dag = folder_name(dag_id)
        self._told: dict[str, dict[str, None]] = {}
        """Run id to what was told, as this process has read it."""

    def was_told(self, event: Event, channel: str, *, at_once: bool) -> bool:
        """Whether a channel has heard of an event of a run.

        Args:
            event: The event.
            channel: Its name.
            at_once: Whether it may have been told at the moment of the failure: that costs a request more to see.
        """
        mark = _mark(event, channel)
        if mark in self._known(event.run_id):
            return True
        run = (self._dag, folder_name(event.run_id))
        return at_once and self._files.read(run, _own_file(mark)) is not None

    def note_told(self, events: Iterable[Event], channel: str, *, is_alone: bool = False) -> None:
        """Note that a channel has heard of events of a run.

        Args:
            events: The events.
            channel: Its name.
            is_alone: Whether other tasks may note something at this moment: each then has a file of its own.
        """
        told = set[str]()
        for event in events:
            mark = _mark(event, channel)
            if is_alone:
                self._files.write((self._dag, folder_name(event.run_id)), {_own_file(mark): b""})
            else:
                self._known(event.run_id)[mark] = None
                told.add(event.run_id)
        for run_id in told:
            self._keep_told(run_id)

    def forget(self, event: Event, channels: Collection[str]) -> None:
        """Let an event that was over be told again, should it come back in the same run."""
        run = (self._dag, folder_name(event.run_id))
        for mark in (_mark(event, channel) for channel in channels):
            self._known(event.run_id).pop(mark, None)
            self._files.delete(run, _own_file(mark))
        self._keep_told(event.run_id)

    def incidents(self) -> dict[str, Incident]:
        """What is wrong, by the keys of the events."""
        found = self._document(_INCIDENTS)
        return {key: _incident(values) for key, values in found.items()} if isinstance(found, dict) else {}

    def keep_incidents(self, incidents: Mapping[str, Incident]) -> None:
        """Keep what is wrong now."""
        self._keep(_INCIDENTS, {key: asdict(one) for key, one in incidents.items()})

    def waiting(self) -> list[Waiting]:
        """What waits for the end of quiet hours."""
        found = self._document(_WAITING)
        return [
            Waiting(route=one["route"], channel=one["channel"], event=Event.from_dict(one["event"]))
            for one in (found if isinstance(found, list) else [])
        ]

    def keep_waiting(self, waiting: Iterable[Waiting]) -> None:
        """Keep what waits now."""
        self._keep(_WAITING, [asdict(one) for one in waiting])

    def _known(self, run_id: str) -> dict[str, None]:
        if run_id not in self._told:
            content = self._files.read((self._dag, folder_name(run_id)), _TOLD) or b""
            self._told[run_id] = dict.fromkeys(content.decode(errors="replace").splitlines())
        return self._told[run_id]

    def _keep_told(self, run_id: str) -> None:
        content = "\n".join(self._told[run_id]).encode()
        self._files.write((self._dag, folder_name(run_id)), {_TOLD: content})

    def _document(self, name: str) -> Any:
        try:
            return json.loads(self._files.read((self._dag, _PIPELINE), name) or b"null")
        except ValueError:
            return None

    def _keep(self, name: str, document: Any) -> None:
        self._files.write((self._dag, _PIPELINE), {name: json.dumps(document).encode()})


def _incident(values: Mapping[str, Any]) -> Incident:
    return Incident(
        event=Event.from_dict(values["event"]), since=values["since"], channels=tuple(values["channels"])
    )


def _mark(event: Event, channel: str) -> str:
    # What failed, recovered and failed again within a run is told each time.
    kind = RECOVERED if event.kind == RECOVERED else "bad" if event.is_bad else event.kind
    return f"{channel} {kind} {event.subject}"


def _own_file(mark: str) -> str:
    return f"~{hashlib.sha256(mark.encode()).hexdigest()[:24]}.told"
