"""What the steps of an ingest hand to each other: small, and nothing secret in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from goldsmith.errors import IngestError


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """A byte range of a file that starts and ends at a record's boundary."""

    number: int
    start: int
    end: int
    first_line: int
    last_line: int
    file_size: int
    """Bytes of the whole file when it was split; another size later means another file."""
    checksum: str
    """Of the chunk's bytes when the file was split; see `checksum`."""


def checksum() -> hashlib._Hash:
    """Start a checksum of a chunk's bytes: one that most processors have an instruction for."""
    return hashlib.sha256(usedforsecurity=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What became of one chunk's records."""

    number: int
    staged: int
    rejected: int


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestResult:
    """What became of every record of a file."""

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
        return f"{self.file} into {self.source}: {self.rows} rows, {self.counts}"
