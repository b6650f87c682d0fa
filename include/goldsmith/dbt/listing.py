"""`dbt ls`: which nodes a selection means, in dbt's own opinion."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from goldsmith.errors import SelectionError

LIST = ("ls", "--output", "json", "--output-keys", "unique_id")
EAGER = ("--indirect-selection", "eager")
"""Tests come with what they read, whatever the project's flags or a variable say: so does the plan have it."""
LIST_RELATIONS = (*LIST, "relation_name")
_NO_MATCH = "NoNodesForSelectionCriteria"
_NO_METHOD = "SelectorReportInvalidSelector"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What `dbt ls` said."""

    unique_ids: frozenset[str]
    unmatched: tuple[str, ...]
    """Terms of the selection that match nothing."""
    errors: tuple[str, ...]
    relations: Mapping[str, str] = field(default_factory=dict)
    """Unique id to the name of its relation; of nodes that have one, where dbt was asked for it."""


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
    relations: dict[str, str] = {}
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
        elif info.get("level") == "error" or info.get("name") == _NO_METHOD:
            errors.append(str(info.get("msg") or ""))
        elif node := _node(data.get("msg")):
            found.add(node["unique_id"])
            if node.get("relation_name"):
                relations[node["unique_id"]] = node["relation_name"]
    return Listing(
        unique_ids=frozenset(found),
        unmatched=tuple(dict.fromkeys(unmatched)),
        errors=tuple(errors),
        relations=relations,
    )


def _node(text: object) -> dict[str, str]:
    """What dbt says about a node; empty for another line."""
    if not isinstance(text, str) or not text.startswith('{"unique_id"'):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {key: str(value) for key, value in found.items() if value is not None}
