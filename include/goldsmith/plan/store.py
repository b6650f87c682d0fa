"""The compiled plan as a file, so that a DAG file loads it and not the manifest.

It lies beside the manifest, or where that folder is read-only, in a folder the caller names. A plan is fresh while
the spec's checksum and the manifest's are those it was compiled from. Hashing a manifest means reading it, so the
file also keeps the manifest's size and time of change: while those stand, nothing is read.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldsmith.plan.model import Plan

_FORMAT = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPlan:
    """A plan as it was found on disk."""

    plan: Plan
    path: Path
    stamp: tuple[int, int]
    """Size in bytes and time of change in nanoseconds of the manifest it was compiled from."""


def manifest_stamp(manifest: Path) -> tuple[int, int] | None:
    """Size and time of change of a manifest; none where there is no file."""
    try:
        found = manifest.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def plan_paths(manifest: Path, fallback_dir: Path, pipeline: str) -> tuple[Path, Path]:
    """Where a plan may lie: beside its manifest, and where that is read-only."""
    key = hashlib.sha256(str(manifest).encode()).hexdigest()[:12]
    return (
        manifest.parent / f"goldsmith_plan_{pipeline}.json",
        fallback_dir / "goldsmith_plans" / f"{pipeline}_{key}.json",
    )


def read_plan(paths: tuple[Path, ...]) -> StoredPlan | None:
    """The newest readable plan among `paths`; an unreadable one counts as absent."""
    found = [stored for stored in map(_read, paths) if stored]
    return max(found, key=lambda stored: stored.path.stat().st_mtime_ns, default=None)


def _read(path: Path) -> StoredPlan | None:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        if document["format"] != _FORMAT:
            return None
        size, changed = document["manifest_stamp"]
        return StoredPlan(plan=Plan.from_dict(document["plan"]), path=path, stamp=(size, changed))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_plan(plan: Plan, stamp: tuple[int, int], paths: tuple[Path, ...]) -> Path | None:
    """Write a plan to the first of `paths` that can be written; none where all are read-only.

    The file appears whole or not at all: several processes may compile the same plan at once.
    """
    document = {"format": _FORMAT, "manifest_stamp": stamp, "plan": plan.to_dict()}
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text)
        except OSError:
            continue
        return path
    return None


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, and leave nothing beside it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, suffix=".part") as part:
        partial = Path(part.name)
        try:
            part.write(text)
            part.flush()
            partial.chmod(0o644)
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
