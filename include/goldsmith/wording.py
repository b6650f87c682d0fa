"""What to say where a name is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """The known names that are most like it, as the end of a sentence."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3)
    return f" Nearest: {', '.join(near)}." if near else f" There are: {', '.join(names[:10]) or 'none'}."
