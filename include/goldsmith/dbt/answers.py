"""What dbt said about a manifest when it was made: the nodes of a pipeline's selections.

A file beside the pipeline's plan. DAG files are parsed without dbt, and read here what only dbt can say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """dbt's answers, and what they are about."""

    manifest: str
    """Checksum of the manifest."""
    stamp: tuple[int, int] | None
    """Size and time of change of the manifest's file."""
    target: str
    """dbt target it was made with."""
    variables: Mapping[str, Any]
    """dbt variables it was made with."""
    listed: Mapping[str, frozenset[str]]
    """A selection's key to the unique ids of its nodes."""

    def to_json(self) -> str:
        """The file's content."""
        listed = {key: sorted(ids) for key, ids in self.listed.items()}
        return json.dumps(
            {
                "format": _FORMAT,
                "manifest": self.manifest,
                "stamp": self.stamp,
                "target": self.target,
                "variables": self.variables,
                "listed": listed,
            }
        )


def key_of(select: Sequence[str], exclude: Sequence[str]) -> str:
    """What names a selection among a pipeline's."""
    return json.dumps([list(select), list(exclude)])


def read_answers(paths: Iterable[Path]) -> tuple[Answers, ...]:
    """All readable answers among `paths`; an unreadable one counts as absent."""
    return tuple(found for path in paths if (found := _read(path)))


def _read(path: Path) -> Answers | None:
    try:
        values = json.loads(path.read_bytes())
        if values.pop("format") != _FORMAT:
            return None
        stamp = values.pop("stamp")
        listed = {key: frozenset(ids) for key, ids in values.pop("listed").items()}
        return Answers(stamp=tuple(stamp) if stamp else None, listed=listed, **values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_answers(answers: Answers, paths: Iterable[Path]) -> Path | None:
    """Write a file, whole or not at all, to the first of `paths` that can be written; none if none can."""
    for path in paths:
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(answers.to_json(), encoding="utf-8")
            part.replace(path)
        except OSError:
            continue
        return path
    return None
