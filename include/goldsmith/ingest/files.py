"""The files of an ingest, by name or by wildcards, on disk or in object storage; each is on disk while it is read."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from goldsmith.errors import EnvironmentProblem, IngestError
from goldsmith.extras import need_storage
from goldsmith.ingest.source import changed
from goldsmith.masking import hide_connection
from goldsmith.spec.ingest import Ingest
from goldsmith.wording import some

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_WILD = ("*", "?", "[")
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_PACKED = {".gz", ".zst", ".gzip", ".zstd"}
_BLOCK = 1 << 20


def names_of(ingest: Ingest, root: Path) -> list[str]:
    """The files of an ingest, in the order in which they are loaded: sorted by name, so that a later one wins.

    Args:
        ingest: The ingest.
        root: The folder a relative path starts from.

    Returns:
        Paths from the root or absolute, or URLs. A name without wildcards stands for itself, there or not.

    Raises:
        IngestError: Wildcards match nothing.
        EnvironmentProblem: The object storage cannot be listed.
    """
    if not any(sign in ingest.file for sign in _WILD) or (
        not is_url(ingest.file) and (root / ingest.file).is_file()
    ):
        return [ingest.file]
    found = _listed(ingest.file) if is_url(ingest.file) else _matched(ingest.file, root)
    if not found:
        raise IngestError(
            f"{ingest.file}: no file matches; expected at least one. Looked in {_place(ingest.file, root)}.",
            hint=f"Put a file there, or correct `file` of {ingest.source} in the pipeline spec.",
        )
    return sorted(found)


def format_of(ingest: Ingest, names: list[str]) -> str:
    """What the files hold: `csv`, `jsonl` or `parquet`.

    Raises:
        IngestError: Suffixes say different things.
    """
    if ingest.format:
        return ingest.format
    found = {_by_suffix(name): name for name in reversed(names)}
    if len(found) > 1:
        examples = some((f"{name} ({kind})" for kind, name in sorted(found.items())), 3)
        raise IngestError(
            f"{ingest.file} matches files of several formats: {examples}.",
            hint=f"Write a pattern of one suffix for {ingest.source}, or `format:` if the suffixes mislead.",
        )
    return next(iter(found))


def is_url(name: str) -> bool:
    """Whether a file lies in object storage."""
    return "://" in name


@contextmanager
def on_disk(name: str, root: Path) -> Iterator[Path]:
    """A file on disk: itself, or a copy of an object, which is there until the `with` block ends.

    Args:
        name: As `names_of` gives it.
        root: The folder a relative path starts from.

    Raises:
        IngestError: The object has changed while it was fetched, or it is not there.
        EnvironmentProblem: The object storage cannot be used.
    """
    if not is_url(name):
        yield root / name
        return
    with tempfile.TemporaryDirectory(prefix="goldsmith-ingest-") as folder:
        copy = Path(folder) / PurePosixPath(name).name
        _fetch(name, copy)
        yield copy


def _fetch(name: str, copy: Path) -> None:
    path = _object(name)
    with _told(name):
        before = _version(path)
        with path.open("rb") as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, _BLOCK)
        path.fs.invalidate_cache()
        after = _version(path)
    if before != after:
        raise changed(name, "while it was fetched")


def _version(path: ObjectStoragePath) -> list[str]:
    """What changes if an object is replaced, as far as its storage tells."""
    info: dict[str, Any] = path.fs.info(path.path)
    known = ("size", "ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "mtime", "ino")
    return [f"{key}={info[key]}" for key in known if key in info]


def _listed(url: str) -> list[str]:
    path = _object(url)
    with _told(url):
        found = path.fs.glob(path.path, detail=True)
    # As it was written, with the connection: `s3://connection@bucket/...`.
    start = url[: len(url) - len(_below(url))]
    cut = len(path.path) - len(_below(url))
    files = [place[cut:] for place, info in found.items() if info.get("type") == "file"]
    # Hidden ones match as on disk, only where the pattern names the dot.
    return [start + name for name in files if "/." not in name or "/." in url]


def _below(url: str) -> str:
    """What stands in a URL behind scheme, connection and bucket."""
    rest = url.partition("://")[2]
    bucket = rest.partition("/")[0]
    return rest[len(bucket) :]


def _object(url: str) -> ObjectStoragePath:
    need_storage(url, f"The file {url}")
    from airflow.sdk import ObjectStoragePath

    with _told(url):
        path = ObjectStoragePath(url)
        if path.conn_id:
            _check_connection(url, path.conn_id)
        # Others put objects there. `fs` asks Airflow for the connection.
        path.fs.invalidate_cache()
    return path


def _check_connection(url: str, conn_id: str) -> None:
    """Refuse a connection that Airflow does not have: the file system of S3 would go on without, as anybody."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException

    try:
        hide_connection(BaseHook.get_connection(conn_id))
    except AirflowException as error:
        raise EnvironmentProblem(
            f"{url}: Airflow has no connection {conn_id!r}.",
            hint=f"airflow connections add {conn_id} ... ; or correct what stands before the @ of `file` in the spec.",
        ) from error


@contextmanager
def _told(url: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise IngestError(
            f"{url}: no such object; expected a file.",
            hint="Correct `file` in the pipeline spec, or put it there.",
        ) from error
    except (IngestError, EnvironmentProblem):
        raise
    except Exception as error:  # each kind of storage has errors of its own
        said = f"{type(error).__name__}: {error}"
        raise EnvironmentProblem(
            f"{url} cannot be read: {said}",
            hint="Does it name a bucket and an Airflow connection that may read it, s3://connection@bucket/path, and "
            "is that storage's Airflow provider installed?",
        ) from error


def _matched(pattern: str, root: Path) -> list[str]:
    """Files on disk, as they were asked for: relative to the root, or absolute."""
    # Not `Path.glob`, which matches hidden files, and takes no absolute pattern.
    found = glob.glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207
    return [name for name in found if (root / name).is_file()]


def _place(pattern: str, root: Path) -> str:
    return pattern if is_url(pattern) else os.path.normpath(root / pattern)


def _by_suffix(name: str) -> str:
    suffixes = [suffix for suffix in PurePosixPath(name.lower()).suffixes if suffix not in _PACKED]
    return _SUFFIXES.get(suffixes[-1], "csv") if suffixes else "csv"
