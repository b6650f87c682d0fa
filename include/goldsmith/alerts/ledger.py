"""What channels were told, so that nobody hears the same thing twice: kept under the results path.

<path>/<dag_id>/<run_id>/alerts.told          of a run: what was told to which channel
<path>/<dag_id>/<run_id>/~<hash>.told         the same, of one event that could not wait for the run's end
<path>/<dag_id>/~incidents/<hash>.json        what is wrong, since when, and which channels know
<path>/<dag_id>/~waiting/<hash>.json          an event that a channel has still to be told

Each incident has a file of its own: tasks of several runs, and the triggerer, write at the same time.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from goldsmith.alerts.event import Event
from goldsmith.results.names import folder_name
from goldsmith.results.store import open_files
from goldsmith.spec.alerts import RECOVERED, RUN_FINISHED

_TOLD = "alerts.told"
_INCIDENTS, _WAITING = "~incidents", "~waiting"
_DONE = b"told"
# Seconds that telling at once may take: Airflow ends the process of a callback after 20.
_TELLING = 30.0


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
    """An event that a channel has still to be told: it waits for the end of quiet hours, or could not be sent."""

    route: str
    channel: str
    event: Event

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells it from others."""
        return (self.channel, *identity_of(self.event))


def identity_of(event: Event) -> tuple[str, str]:
    """What tells an event from others that may be told with it: each run's end is one of its own."""
    return event.key, event.run_id if event.kind == RUN_FINISHED else ""


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
        """Whether a channel has heard of an event of a run; where it is being told at this moment, once that is done.

        Args:
            event: The event.
            channel: Its name.
            at_once: Whether it may have been told at the moment of the failure: that costs a request more to see.
        """
        mark = _mark(event, channel)
        if mark in self._known(event.run_id):
            return True
        while at_once and (said := self._files.read(self._run(event), _own_file(mark))) is not None:
            if said == _DONE or _age(said) > _TELLING:
                return said == _DONE
            time.sleep(1)
        return False

    def note_told(self, events: Iterable[Event], channel: str) -> None:
        """Note, at the end of a run, that a channel has heard of events."""
        runs = set[str]()
        for event in events:
            known = self._known(event.run_id)
            known[_mark(event, channel)] = None
            if event.is_bad:  # should it recover once more, that is news
                known.pop(_recovered(event, channel), None)
            runs.add(event.run_id)
        for run_id in runs:
            self._keep_told(run_id)

    def begin(self, event: Event, channel: str) -> bool:
        """Note that a channel is about to hear of an event at once, unless it has, or is about to by somebody else."""
        if _mark(event, channel) in self._known(event.run_id):  # with the run's end, before it was cleared
            return False
        mark = _own_file(_mark(event, channel))
        said = self._files.read(self._run(event), mark)
        if said is not None and (said == _DONE or _age(said) <= _TELLING):
            return False
        self._files.write(self._run(event), {mark: datetime.now(UTC).isoformat().encode()})
        return True

    def finish(self, event: Event, channel: str, *, is_told: bool) -> None:
        """Note what came of it."""
        mark = _own_file(_mark(event, channel))
        if is_told:
            self._files.write(self._run(event), {mark: _DONE})
        else:
            self._files.delete(self._run(event), mark)

    def forget(self, event: Event, channels: Collection[str]) -> None:
        """Let an event that was over be told again, should it come back in the same run."""
        if not channels:
            return
        for mark in (_mark(event, channel) for channel in channels):
            self._known(event.run_id).pop(mark, None)
            self._files.delete(self._run(event), _own_file(mark))
        self._keep_told(event.run_id)

    def incidents(self) -> dict[str, Incident]:
        """What is wrong, by the keys of the events."""
        found = {}
        for values in self._documents(_INCIDENTS):
            if (event := _event(values.get("event"))) is not None:
                channels = tuple(values.get("channels") or ())
                found[event.key] = Incident(
                    event=event, since=str(values.get("since") or ""), channels=channels
                )
        return found

    def keep(self, incident: Incident) -> None:
        """Keep what is wrong."""
        self._keep(_INCIDENTS, incident.event.key, asdict(incident))

    def end(self, key: str) -> None:
        """It is no longer wrong."""
        self._files.delete((self._dag, _INCIDENTS), _document_name(key))

    def waiting(self) -> list[Waiting]:
        """What has still to be told."""
        return [
            Waiting(route=str(values.get("route")), channel=str(values.get("channel")), event=event)
            for values in self._documents(_WAITING)
            if (event := _event(values.get("event"))) is not None
        ]

    def hold(self, waiting: Waiting) -> None:
        """Keep what has still to be told."""
        self._keep(_WAITING, "\n".join(waiting.identity), asdict(waiting))

    def release(self, waiting: Waiting) -> None:
        """It was told, or is no longer worth it."""
        self._files.delete((self._dag, _WAITING), _document_name("\n".join(waiting.identity)))

    def _run(self, event: Event) -> tuple[str, str]:
        return self._dag, folder_name(event.run_id)

    def _known(self, run_id: str) -> dict[str, None]:
        if run_id not in self._told:
            content = self._files.read((self._dag, folder_name(run_id)), _TOLD) or b""
            self._told[run_id] = dict.fromkeys(content.decode(errors="replace").splitlines())
        return self._told[run_id]

    def _keep_told(self, run_id: str) -> None:
        content = "\n".join(self._told[run_id]).encode()
        self._files.write((self._dag, folder_name(run_id)), {_TOLD: content})

    def _documents(self, folder: str) -> Iterator[dict[str, Any]]:
        """What can be read; not what another version has written in another way."""
        for name in sorted(self._files.names((self._dag, folder))):
            try:
                found = json.loads(self._files.read((self._dag, folder), name) or b"null")
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found

    def _keep(self, folder: str, key: str, document: Any) -> None:
        self._files.write((self._dag, folder), {_document_name(key): json.dumps(document).encode()})


def _event(values: Any) -> Event | None:
    try:
        return Event.from_dict(values)
    except (KeyError, TypeError):
        return None


def _mark(event: Event, channel: str) -> str:
    # What failed, recovered and failed again within a run is told each time.
    if event.kind == RECOVERED:
        return _recovered(event, channel)
    return f"{channel} {'bad' if event.is_bad else event.kind} {event.subject}"


def _recovered(event: Event, channel: str) -> str:
    return f"{channel} {RECOVERED} {event.subject}"


def _own_file(mark: str) -> str:
    return f"~{_hash(mark)}.told"


def _document_name(key: str) -> str:
    return f"{_hash(key)}.json"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _age(said: bytes) -> float:
    """Seconds since somebody began to tell it."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(said.decode())).total_seconds()
    except ValueError:
        return _TELLING + 1
