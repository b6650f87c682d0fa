"""`dbt ls`: which nodes a selection means, in dbt's own opinion."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldsmith.errors import SelectionError

LIST = ("ls", "--output", "json", "--output-keys", "unique_id")
_NO_MATCH = "NoNodesForSelectionCriteria"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What `dbt ls` said."""

    unique_ids: frozenset[str]
    unmatched: tuple[str, ...]
    """Terms of the selection that match nothing."""
    errors: tuple[str, ...]


def selection_arguments(select: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """A selection as dbt's command line takes it."""
    return [*(("--select", *select) if select else ()), *(("--exclude", *exclude) if exclude else ())]


def manifest_to_compare(named: Path | None) -> Path:
    """The manifest that `state:` in a selection means.

    Args:
        named: What the pipeline spec names.

    Raises:
        SelectionError: It names none, or it is not there.
    """
    hint = "`state_manifest` in the pipeline spec: the path of the manifest.json of what runs in production."
    if named is None:
        raise SelectionError("`state:` compares with a manifest, and the pipeline names none.", hint=hint)
    if not named.is_file():
        raise SelectionError(f"`state:` compares with {named}, which is not there.", hint=hint)
    return named


def read_listing(lines: Iterable[str]) -> Listing:
    """Read the output of `dbt --log-format json ls`, in which each node is the message of an event.

    Args:
        lines: The output.
    """
    found: set[str] = set()
    unmatched: list[str] = []
    errors: list[str] = []
    for line in lines:
        try:
            event = json.loads(line)
            info, data = event["info"], event["data"]
        except (ValueError, KeyError, TypeError):
            errors += [line.rstrip()] if line.strip() else []  # a crash, in plain words
            continue
        if info.get("name") == _NO_MATCH:
            unmatched.append(str(data.get("spec_raw") or ""))
        elif info.get("level") == "error":
            errors.append(str(info.get("msg") or ""))
        elif unique_id := _unique_id(data.get("msg")):
            found.add(unique_id)
    return Listing(
        unique_ids=frozenset(found), unmatched=tuple(dict.fromkeys(unmatched)), errors=tuple(errors)
    )


def _unique_id(text: object) -> str:
    if not isinstance(text, str) or not text.startswith('{"unique_id"'):
        return ""
    try:
        return str(json.loads(text)["unique_id"])
    except (ValueError, KeyError, TypeError):
        return ""
