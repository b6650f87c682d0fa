"""How messages name things: the first of many, and what was meant most likely."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def some(names: Iterable[str], most: int = 10, *, between: str = ", ") -> str:
    """The first names, and how many more there are.

    Args:
        names: All names, in the order in which they are to be named.
        most: How many are named.
        between: Stands between two names.

    Example:
        >>> some(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    found = list(names)
    before = " " if between == ", " else between
    more = f"{before}and {len(found) - most} more" if len(found) > most else ""
    return between.join(found[:most]) + more


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "gate"), counted(2, "gate")
        ('1 gate', '2 gates')
    """
    return f"{number} {noun}{'s' * (number != 1)}"


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that are most like a name, at most three."""
    return difflib.get_close_matches(name, sorted(set(known)), n=3)


def did_you_mean(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """A sentence that names the known names that are most like a name.

    Args:
        name: What was written.
        known: The names that there are, in the order in which they are to be listed.
        otherwise: The sentence if none is like it; by default one that lists what there is.

    Example:
        >>> did_you_mean("slver", ["bronze", "silver"])
        'Did you mean silver?'
    """
    names = list(dict.fromkeys(known))
    if near := nearest(name, names):
        return f"Did you mean {' or '.join(near)}?"
    if otherwise is not None:
        return otherwise
    return f"There are: {some(names)}." if names else "There are none."
