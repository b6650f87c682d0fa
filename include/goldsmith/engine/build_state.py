"""The state of a build: how far it came, in Airflow's task state store, which survives retries and clears."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from goldsmith.engine.packed import pack, unpack
from goldsmith.results.microbatch import Microbatches
from goldsmith.results.record import GOOD, NodeResult

KEY = "build"
_BEGUN = "begun"
REASON_KEY = "reason"
"""XCom of a build or a comparison that failed: why."""
CHOICES_KEY = "choices"
"""XCom of a dry run's first build: what a run would do with each node."""
WARNINGS_KEY = "warnings"
"""XCom of a build: what dbt warned of that is about no node."""
_PART = 60_000  # characters; the store takes 64 KiB a value
XCOM_KEY = "statuses"
"""Of what a build leaves behind for the tasks after it."""
MISSING = "missing"
"""Status of a node that the project, as dbt reads it, does not have."""


class StateReader(Protocol):
    """Airflow's task state store, of one task in one run."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""


class StateStore(StateReader, Protocol):
    """The store of the task that runs."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""

    def delete(self, key: str) -> None:
        """Forget a key."""


@dataclass(kw_only=True)
class BuildState:
    """What became of the nodes of a build."""

    build_id: str
    """Of the try that made it: what a node task has reported once, it does not report again."""
    max_tries: int
    """Airflow raises it when a task is cleared: so a retry is told from a clear."""
    statuses: dict[str, str] = field(default_factory=dict)
    """Unique id to dbt's status."""
    settled: set[str] = field(default_factory=set)
    """Unique ids whose task showed its state when the build ended: marked by the build, or decided by a person."""
    batches: dict[str, Microbatches] = field(default_factory=dict)
    """Unique id to batches, of the microbatch models that were begun and are not done."""
    failure: str = ""
    """What failed beside the nodes in the last dbt command, hooks say; with no node to build dbt cannot repeat it."""
    place: int = 0
    """Which of the two places in the store holds its further values."""

    @classmethod
    def of_this_try(cls, kept: BuildState | None, *, max_tries: int) -> BuildState:
        """What a try starts from: where a lost try was, also one that was lost at its very end; after a clear, anew.

        Args:
            kept: What was kept last.
            max_tries: Airflow's, of the task now.
        """
        fresh = cls(build_id=uuid.uuid4().hex, max_tries=max_tries)
        if kept is None:
            return fresh
        # dbt would build the last batches only, because the table is there: so this is known after a clear too.
        fresh.batches = dict(kept.batches)
        if kept.max_tries == max_tries:
            fresh.statuses = {uid: status for uid, status in kept.statuses.items() if uid in kept.good()}
        return fresh

    def know_batches(self, earlier: Mapping[str, Microbatches], lasts: Mapping[str, NodeResult]) -> None:
        """Take over the batches of models that were not done, unless this task has begun with them itself.

        Args:
            earlier: Unique id to batches, as a build left them.
            lasts: Unique id to what dbt said last of a node.
        """
        found = {uid: one for uid, one in earlier.items() if uid not in lasts or not lasts[uid].is_good}
        found |= {uid: one.batches for uid, one in lasts.items() if one.batches is not None}
        self.batches = found | self.batches

    def good(self) -> set[str]:
        """Unique ids of what is done."""
        return {unique_id for unique_id, status in self.statuses.items() if status in GOOD}

    def pack(self) -> str:
        """As text of a few bytes a node, for the store and for XCom."""
        values = {
            "build_id": self.build_id,
            "max_tries": self.max_tries,
            "statuses": self.statuses,
            "settled": sorted(self.settled),
            "batches": {uid: batches.pack() for uid, batches in self.batches.items()},
            "failure": self.failure,
        }
        return pack(values)

    @classmethod
    def unpack(cls, text: str) -> BuildState:
        """Read what `pack` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            values: Mapping[str, Any] = unpack(text)
            batches = {uid: Microbatches.unpack(one) for uid, one in values.get("batches", {}).items()}
            return cls(**{**values, "settled": set(values["settled"]), "batches": batches})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"no state of a build: {error}") from error

    def save(self, store: StateStore) -> None:
        """Keep it; in a few values where one cannot hold it.

        The further values alternate between two places, and the head, written last, names the one that holds: a task
        that is killed in between leaves the state of before.
        """
        text = self.pack()
        parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        self.place = 1 - self.place
        for number, part in enumerate(parts[1:], start=1):
            store.set(f"{KEY}.{self.place}.{number}", part)
        store.set(KEY, {"parts": len(parts), "place": self.place, "first": parts[0]})

    @staticmethod
    def begin(store: StateStore, batches: Mapping[str, Microbatches]) -> None:
        """Keep which batches dbt has to build, beside a state that another thread may be saving.

        A moment later the tables of the models are there, and without this a next try would take them for built.

        Args:
            store: Of the task.
            batches: Unique id to batches, of all models that this try has begun with.
        """
        store.set(_BEGUN, {uid: one.anew().pack() for uid, one in batches.items()})

    @staticmethod
    def forget(store: StateStore) -> None:
        """Let the next try begin anew."""
        for key in (KEY, _BEGUN):
            store.delete(key)

    @classmethod
    def load(cls, store: StateReader) -> BuildState | None:
        """The state as it was kept last; None where there is none that can be read."""
        begun = _begun(store)
        head = store.get(KEY)
        if not isinstance(head, dict):
            # The task's own number of tries is not known; a cleared task is not to begin anew with these either.
            return cls(build_id=uuid.uuid4().hex, max_tries=0, batches=begun) if begun else None
        places = [f"{KEY}.{head['place']}.{number}" for number in range(1, head["parts"])]
        try:
            found = cls.unpack("".join([head["first"], *(str(store.get(place)) for place in places)]))
        except ValueError:
            return None
        found.place = head["place"]
        found.batches = {uid: one for uid, one in begun.items() if uid not in found.good()} | found.batches
        return found


def _begun(store: StateReader) -> dict[str, Microbatches]:
    kept = store.get(_BEGUN)
    try:
        return {uid: Microbatches.unpack(one) for uid, one in kept.items()} if isinstance(kept, dict) else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
