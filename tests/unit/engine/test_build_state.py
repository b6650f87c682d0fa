"""The state of a build on its way through Airflow's task state store."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from goldsmith.engine import build_state
from goldsmith.engine.build_state import KEY, BuildState
from goldsmith.results.microbatch import Microbatches
from goldsmith.results.record import NodeResult


class Store:
    """A store that holds Airflow to its word: JSON values of at most 64 KiB; it can die at the n-th write."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.writes_left = 10_000

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        assert len(str(value)) < 65_536
        if self.writes_left == 0:
            raise ConnectionError("killed")
        self.writes_left -= 1
        self.values[key] = value

    def delete(self, key: str) -> None:
        """Forget a key."""
        self.values.pop(key, None)


def state(size: int, seed: int) -> BuildState:
    """A state of that many nodes, with names that do not pack well."""
    noise = random.Random(seed)  # noqa: S311 - the same state for every run of the test
    names = [f"model.shop.{noise.randbytes(12).hex()}" for _ in range(size)]
    statuses = {name: noise.choice(["success", "error", "skipped"]) for name in names}
    return BuildState(build_id=f"b{seed}", max_tries=2, statuses=statuses, settled=set(names[: size // 2]))


@pytest.mark.parametrize("size", [0, 3, 15_000])
def test_a_state_comes_back_as_it_was(size: int) -> None:
    """Also where one value cannot hold it."""
    store, kept = Store(), state(size, 1)
    kept.save(store)
    found = BuildState.load(store)
    assert found is not None
    assert (found.statuses, found.settled, found.build_id) == (kept.statuses, kept.settled, "b1")
    assert BuildState.unpack(kept.pack()) == kept or found.place == kept.place


def test_a_task_that_dies_between_two_writes_leaves_the_state_of_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever of the writes is the last."""
    monkeypatch.setattr(build_state, "_PART", 500)
    first, second = state(150, 1), state(150, 2)
    for writes in range(30):
        store = Store()
        first.save(store)
        known = BuildState.load(store)
        assert known is not None
        second.place = known.place
        store.writes_left = writes
        try:
            second.save(store)
        except ConnectionError:
            expected = "b1"
        else:
            expected = "b2"
        found = BuildState.load(store)
        assert found is not None
        assert found.build_id == expected


def test_what_is_no_state_counts_as_none() -> None:
    """Another Goldsmith may have written it."""
    store = Store()
    assert BuildState.load(store) is None
    store.set(KEY, {"parts": 1, "place": 0, "first": "nonsense"})
    assert BuildState.load(store) is None
    with pytest.raises(ValueError, match="no state"):
        BuildState.unpack("")


def test_a_lost_try_is_gone_on_with_and_a_clear_begins_anew() -> None:
    """What was done well stays done, until Airflow grants the task more tries or it is forgotten."""
    store = Store()
    BuildState(build_id="b1", max_tries=2, statuses={"a": "success", "b": "error", "c": "skipped"}).save(
        store
    )
    again = BuildState.of_this_try(BuildState.load(store), max_tries=2)
    assert again.statuses == {"a": "success"}
    assert again.build_id != "b1"
    assert BuildState.of_this_try(BuildState.load(store), max_tries=3).statuses == {}
    BuildState.forget(store)
    assert BuildState.of_this_try(BuildState.load(store), max_tries=2).statuses == {}


def test_batches_that_are_missing_stay_known_after_a_clear(result: Callable[..., NodeResult]) -> None:
    """The table is there: dbt alone would build its last batches and take the model for built."""
    begun = Microbatches(planned=("2026-11-20", "2026-11-21"), built=frozenset({"2026-11-20"}))
    store = Store()
    BuildState(build_id="b1", max_tries=2, batches={"a": begun}).save(store)
    again = BuildState.of_this_try(BuildState.load(store), max_tries=3)
    assert again.batches == {"a": begun}
    failed = result(unique_id="c", status="partial success", batches=begun.anew())
    again.know_batches({"a": begun.anew(), "b": begun, "d": begun}, {"b": result(unique_id="b"), "c": failed})
    assert again.batches == {"a": begun, "c": begun.anew(), "d": begun}


def test_what_dbt_has_begun_with_is_known_before_the_state_is_saved() -> None:
    """Kept beside it: another thread may be saving it. What is done, or better known, is not taken from there."""
    planned = Microbatches(planned=("2026-11-20", "2026-11-21"))
    store = Store()
    BuildState.begin(store, {"a": planned.with_built("2026-11-20")})
    alone = BuildState.load(store)
    assert alone is not None
    assert alone.batches == {"a": planned}
    further = planned.with_built("2026-11-20")
    BuildState(build_id="b1", max_tries=2, statuses={"b": "success"}, batches={"c": further}).save(store)
    BuildState.begin(store, dict.fromkeys("abc", planned))
    found = BuildState.load(store)
    assert found is not None
    assert found.batches == {"a": planned, "c": further}
    BuildState.forget(store)
    assert BuildState.load(store) is None
