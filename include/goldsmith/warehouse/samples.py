"""How a sample of rows is cut: a page and a log show it, and a value may be larger than this machine."""

from __future__ import annotations

MOST_COLUMNS = 20
LONGEST_VALUE = 200
"""Characters of a value that are kept, the mark that it was longer among them."""

_NULL = "NULL"
_MORE = "…"


def shown(value: str | None) -> str:
    """A value as it is shown; SQL's null by its name."""
    if value is None:
        return _NULL
    return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + _MORE
