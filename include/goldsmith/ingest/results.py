"""What the steps of an ingest hand to each other: small, and nothing secret in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from goldsmith.errors import IngestError


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A byte range of a file that starts and ends at a record's boundary."""

    file: str
    """As messages name it, and as it is opened: a path from the root, or a URL."""
    start: int
    end: int
    first_line: int
    """Of the range; of a Parquet file its first row."""
    last_line: int
    file_size: int
    """Bytes of the whole file when it was split; another size later means another file."""
    checksum: str
    """Of the range's bytes when the file was split; see `checksum`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """What one task loads: a part of a file, or small files together."""

    number: int
    parts: tuple[Part, ...]

    def plain(self) -> dict[str, Any]:
        """The chunk as JSON can hold it."""
        return {"number": self.number, "parts": [asdict(part) for part in self.parts]}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Chunk:
        """A chunk from what `plain` has made of it."""
        return cls(number=values["number"], parts=tuple(Part(**part) for part in values["parts"]))

    @property
    def text(self) -> str:
        """Which lines or files it holds."""
        first = self.parts[0]
        if len(self.parts) > 1:
            return f"{len(self.parts)} files from {first.file}"
        return f"lines {first.first_line} to {first.last_line}"


def checksum() -> hashlib._Hash:
    """Start a checksum of a chunk's bytes: one that most processors have an instruction for."""
    return hashlib.sha256(usedforsecurity=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What became of one chunk's records."""

    number: int
    staged: int
    rejected: int
    files: Mapping[str, int] = field(default_factory=dict)
    """File to its records."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestResult:
    """What became of every record of a file, or of all files of a pattern."""

    source: str
    file: str
    rows: int
    """Records of the file; its header is none."""
    inserted: int
    changed: int
    unchanged: int
    """Rows of the table that were like the file's already; their `load_timestamp` stays."""
    superseded: int
    """Records whose key a later line of the file has; counted, like all of these, and no remainder."""
    rejected: int
    """Malformed records, which are in rejected_rows."""
    files: Mapping[str, int] = field(default_factory=dict)
    """File to its records, if there are several files."""

    def __post_init__(self) -> None:
        accounted = self.inserted + self.changed + self.unchanged + self.superseded + self.rejected
        if self.rows != accounted:
            raise IngestError(
                f"{self.file}: {self.rows} rows were read, but {accounted} are accounted for"
                f" ({self.counts}). Nothing was merged into {self.source}.",
                hint="Run the ingest again from its split; if this comes back, report it with these numbers.",
            )

    @property
    def counts(self) -> str:
        """The numbers, in words."""
        return (
            f"{self.inserted} inserted, {self.changed} changed, {self.unchanged} unchanged,"
            f" {self.superseded} superseded, {self.rejected} rejected"
        )

    def __str__(self) -> str:
        files = f" in {len(self.files)} files" if self.files else ""
        return f"{self.file} into {self.source}: {self.rows} rows{files}, {self.counts}"
