"""Where a command prints."""

from __future__ import annotations

from rich.console import Console

_WHOLE = 100_000  # characters: no line of ours is longer


def console_of(*, stderr: bool = False) -> Console:
    """A terminal's text is wrapped at its width; a pipe gets each line whole, for the programs that read it.

    Args:
        stderr: Print to standard error.
    """
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=_WHOLE, soft_wrap=True)
