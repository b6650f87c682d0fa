"""The compiled plan as a file, so that a DAG file loads it and not the manifest.

It lies beside the manifest, or where that folder is read-only, in a folder the caller names. A plan is fresh while
the spec's checksum and the manifest's are those it was compiled from. Hashing a manifest means reading it, so the
file also keeps the manifest's size and time of change: while those stand, nothing is read.

The file is a small SQLite database: the process of a task looks up that task, and reads nothing of the others. Each
entry is compressed by what it has in common with another one, which leaves a fifth of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldsmith.plan.model import Plan

_FORMAT = 11
_SCHEMA = """
create table head (format integer, size integer, changed integer, plan text, sample blob);
create table task (task_id text, place integer, part text, body blob);
create index by_task on task (task_id, place);
"""
_PARTS = ("nodes", "gates", "builds")
_ALIAS = ""  # the part of a second id of a task's entry: a build's comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPlan:
    """A plan, or the part of it that was asked for, as it was found on disk."""

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
        manifest.parent / f"goldsmith_plan_{pipeline}.sqlite",
        fallback_dir / "goldsmith_plans" / f"{pipeline}_{key}.sqlite",
    )


def read_plan(paths: tuple[Path, ...], *, only: str | None = None) -> StoredPlan | None:
    """The newest readable plan among `paths`; an unreadable one counts as absent.

    Args:
        paths: Where it may lie.
        only: Id of a task: read nothing of the others.
    """
    for path in sorted(paths, key=_changed, reverse=True):
        stored = _read(path, only)
        if stored:
            return stored
    return None


def _changed(path: Path) -> int:
    stamp = manifest_stamp(path)
    return stamp[1] if stamp else 0


def _read(path: Path, only: str | None) -> StoredPlan | None:
    try:
        # Files are replaced and never changed: `immutable` spares locks, and works on a read-only disk.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as found:
            [(form,)] = found.execute("select format from head")
            if form != _FORMAT:
                return None
            [(size, changed, head, sample)] = found.execute("select size, changed, plan, sample from head")
            parts = _part(found, sample, only) if only else _whole(found, sample)
            plan = Plan.from_dict(json.loads(head) | parts)
        return StoredPlan(plan=plan, path=path, stamp=(size, changed))
    except (OSError, sqlite3.Error, zlib.error, ValueError, KeyError, TypeError):
        return None


def _part(found: sqlite3.Connection, sample: bytes, task_id: str) -> dict[str, Any]:
    values: dict[str, Any] = {name: [] for name in _PARTS}
    query = "select part, body from task where task_id = ? order by place"
    for part, body in found.execute(query, [task_id]):
        values[part or "builds"].append(_unpacked(body, sample))
    return values


def _whole(found: sqlite3.Connection, sample: bytes) -> dict[str, Any]:
    """The entries one by one, as they are asked for: all of them as plain values would double the memory."""
    query = "select body from task where part = ? order by place"
    return {part: (_unpacked(body, sample) for (body,) in found.execute(query, [part])) for part in _PARTS}


def write_plan(plan: Plan, stamp: tuple[int, int], paths: tuple[Path, ...]) -> Path | None:
    """Write a plan to the first of `paths` that can be written; none where all are read-only.

    The file appears whole or not at all: several processes may compile the same plan at once.
    """
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, plan.to_dict(), stamp)
        except (OSError, sqlite3.Error):
            continue
        return path
    return None


def _replace(path: Path, values: dict[str, Any], stamp: tuple[int, int]) -> None:
    """Write a file whole or not at all, and leave nothing beside it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(descriptor)
    partial = Path(name)
    try:
        with closing(sqlite3.connect(partial)) as made:
            made.execute("pragma journal_mode = off")
            made.executescript(_SCHEMA)
            entries = values["nodes"]
            # One from the middle: what comes first may be of a kind that is rare.
            sample = _json(entries[len(entries) // 2]).encode() if entries else b"{}"
            made.executemany("insert into task values (?, ?, ?, ?)", _rows(values, sample))
            head = {key: value for key, value in values.items() if key not in _PARTS}
            made.execute("insert into head values (?, ?, ?, ?, ?)", [_FORMAT, *stamp, _json(head), sample])
            made.commit()
        partial.chmod(0o644)
        partial.replace(path)
    except (OSError, sqlite3.Error):
        partial.unlink(missing_ok=True)
        raise


def _rows(values: dict[str, Any], sample: bytes) -> Iterator[tuple[str, int, str, bytes]]:
    for part in _PARTS:
        for place, entry in enumerate(values[part]):
            yield entry["task_id"], place, part, _packed(entry, sample)
    for build in values["builds"]:
        yield build["reconcile_id"], 0, _ALIAS, _packed(build, sample)


def _json(values: Any) -> str:
    return json.dumps(values, separators=(",", ":"), sort_keys=True)


def _packed(entry: Any, sample: bytes) -> bytes:
    packer = zlib.compressobj(zdict=sample)
    return packer.compress(_json(entry).encode()) + packer.flush()


def _unpacked(body: bytes, sample: bytes) -> Any:
    return json.loads(zlib.decompressobj(zdict=sample).decompress(body))
