"""An exception in a DAG file as one sentence and a hint."""

from __future__ import annotations

import re
import traceback
from itertools import dropwhile
from pathlib import Path
from typing import TypedDict

_FRAME = re.compile(r'^ +(?:\| )?File "(?P<file>[^"]+)", line (?P<line>\d+)')
_OURS = Path(__file__).parents[1]
_ERRORS = "goldsmith.errors."
_LONGEST = 600


class Fault(TypedDict):
    """What is wrong, and what to do about it."""

    text: str
    hint: str


def fault_of(error: BaseException, file: Path) -> Fault:
    """The fault that an exception is.

    Args:
        error: What was raised while a DAG file was imported or serialised.
        file: The DAG file.
    """
    return fault_in("".join(traceback.format_exception(error)), file)


def fault_in(trace: str, file: Path) -> Fault:
    """The fault that a traceback, as Airflow keeps it, ends with.

    Args:
        trace: The traceback's text.
        file: The DAG file.
    """
    lines = [line for line in trace.rstrip().splitlines() if line.strip()]
    frames = [(number, found) for number, line in enumerate(lines) if (found := _FRAME.match(line))]
    after = frames[-1][0] + 1 if frames else 0
    # Below a frame stands its line of code, indented; a message of ours may have indented lines of its own.
    said = list(dropwhile(lambda line: line.startswith((" ", "\t")), lines[after:])) or lines[-1:]
    first = said[0] if said else "no reason given"
    kind, _, message = first.partition(": ")
    if kind.startswith(_ERRORS):  # message, then hint
        *texts, hint = [message, *said[1:]] if len(said) > 1 else [message, ""]
        return Fault(text="\n".join(texts), hint=hint)
    name = kind.rpartition(".")[2]
    text = f"Airflow cannot import {file}: {name}{': ' if message else ''}{message}"[:_LONGEST]
    places = [(Path(found["file"]), found["line"]) for _, found in frames]
    own = [line for path, line in places if path.name == file.name]
    text += f" (line {own[-1]})" if own else ""
    if places and places[-1][0].is_relative_to(_OURS):
        return Fault(
            text=text,
            hint=f"This is a fault in Goldsmith, {places[-1][0].name} line {places[-1][1]}: please report it.",
        )
    return Fault(text=text, hint=f"To see where: python {file}")
