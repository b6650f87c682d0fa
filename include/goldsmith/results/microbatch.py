"""The batches of a microbatch model: those that a run has to build, and those that it has built.

A batch is named by its start, as dbt names it: `2026-11-21` for a day, `2026-11` for a month. The name says how long
the batch is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from goldsmith.wording import some

_FORMATS = {4: "%Y", 7: "%Y-%m", 10: "%Y-%m-%d", 13: "%Y-%m-%dT%H"}
"""Length of a batch's name to its format: year, month, day, hour."""
_LONGEST = {4: timedelta(days=366), 7: timedelta(days=31), 10: timedelta(days=1), 13: timedelta(hours=1)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Microbatches:
    """What a run has to build of a microbatch model, and has built.

    Args:
        planned: Names of the batches that the run has to build, in order.
        built: Names of those that are built.

    Example:
        >>> found = Microbatches(planned=("2026-11-20", "2026-11-21"), built=frozenset({"2026-11-20"}))
        >>> found.missing
        ('2026-11-21',)
    """

    planned: tuple[str, ...]
    built: frozenset[str] = frozenset()

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the batches that are not built, in order."""
        return tuple(name for name in self.planned if name not in self.built)

    def with_built(self, name: str) -> Microbatches:
        """The same with one batch more that is built."""
        return replace(self, built=self.built | {name})

    def anew(self) -> Microbatches:
        """The same with nothing built."""
        return replace(self, built=frozenset())

    def pack(self) -> dict[str, str]:
        """As plain values for JSON, short also for years of hours."""
        built = [name for name in self.planned if name in self.built]
        return {"planned": _packed(self.planned), "built": _packed(built)}

    @classmethod
    def unpack(cls, values: Mapping[str, str]) -> Microbatches:
        """Read what `pack` gave.

        Raises:
            KeyError: It is something else.
            ValueError: It is something else.
        """
        return cls(planned=_unpacked(values["planned"]), built=frozenset(_unpacked(values["built"])))


def span(name: str, *, place: int, total: int) -> tuple[str, ...]:
    """Names of batches that follow one another without a gap.

    Args:
        name: One of them.
        place: Its place, from 1.
        total: The number of batches.
    """
    before = [name]
    for _ in range(place - 1):
        before.append(_neighbour(before[-1], -1))
    found = before[::-1]
    for _ in range(total - place):
        found.append(_neighbour(found[-1], 1))
    return tuple(found)


def window(name: str) -> tuple[datetime, datetime]:
    """The start of a batch, and its end, which is the start of the next one."""
    return _start(name), _start(_neighbour(name, 1))


def ranges(names: Iterable[str]) -> list[tuple[str, str]]:
    """First and last name of each row of batches without a gap.

    Example:
        >>> ranges(["2026-11-20", "2026-11-21", "2026-11-30"])
        [('2026-11-20', '2026-11-21'), ('2026-11-30', '2026-11-30')]
    """
    found: list[tuple[str, str]] = []
    for name in names:
        if found and _neighbour(found[-1][1], 1) == name:
            found[-1] = (found[-1][0], name)
        else:
            found.append((name, name))
    return found


def named(names: Collection[str], *, most: int = 5) -> str:
    """The names as people read them, rows without a gap as one.

    Example:
        >>> named(["2026-11-20", "2026-11-21", "2026-11-30"])
        '2026-11-20 to 2026-11-21, 2026-11-30'
    """
    return some((first if first == last else f"{first} to {last}" for first, last in ranges(names)), most)


def _packed(names: Iterable[str]) -> str:
    return ",".join(first if first == last else f"{first}/{last}" for first, last in ranges(names))


def _unpacked(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("/")
        found.append(first)
        while last and found[-1] < last:
            found.append(_neighbour(found[-1], 1))
    return tuple(found)


def _start(name: str) -> datetime:
    return datetime.strptime(name, _FORMATS[len(name)]).replace(tzinfo=UTC)


@lru_cache(maxsize=65_536)
def _neighbour(name: str, step: int) -> str:
    """The name of the next batch, or of the one before."""
    length, start = len(name), _start(name)
    away = start + _LONGEST[length] if step > 0 else start - timedelta(hours=1)
    return away.strftime(_FORMATS[length])
