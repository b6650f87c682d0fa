"""The raw file itself: what kind of file it is, and whether it is still the one it was."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedIOBase, FileIO
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from goldsmith.errors import IngestError

T = TypeVar("T")

_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"\xff\x06\0\0sNaPpY", "compressed with snappy"),
    (b"\x1f\x9d", "compressed with compress (.Z)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"PAR1", "a Parquet file"),
    (b"Obj\x01", "an Avro file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"%PDF-", "a PDF document"),
)
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What changes if a file is replaced, written or cut, as far as the file system knows."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int
    """Unlike the time of the last write, no program can set this one."""


def _identity(found: os.stat_result) -> Identity:
    return Identity(
        device=found.st_dev,
        inode=found.st_ino,
        size=found.st_size,
        modified=found.st_mtime_ns,
        changed=found.st_ctime_ns,
    )


class RawFile:
    """An opened file, read as text bytes whether it is compressed or not.

    Args:
        path: The file.
        name: How messages call it.
        is_text: Whether it has to hold text.

    Raises:
        IngestError: It is no regular file, or of a kind that holds no plain text.
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, name: str, *, is_text: bool = True) -> None:
        self._name, self._path = name, path
        with ExitStack() as stack:
            file = stack.enter_context(open(path, "rb", buffering=0, opener=self._open))
            self.identity = _identity(os.fstat(file.fileno()))
            head = file.read(512)
            file.seek(0)
            self.compression = compression(head)
            """`gzip`, `zstandard`, or nothing."""
            text, self._faults = _decompressed(file, self.compression)
            self._file = stack.enter_context(text)
            if is_text:
                self._check_content(self.read(512) if self.compression else head)
            self.seek(0)
            self._opened = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def read(self, size: int) -> bytes:
        """Return the next bytes: none at the end, else as many as asked for or fewer."""
        return self._guarded(lambda: self._file.read(size) or b"")

    def seek(self, offset: int) -> None:
        """Go to a byte of the text; backwards in a compressed file, it is decompressed again."""
        self._guarded(lambda: self._file.seek(offset))

    def check_unchanged(self) -> None:
        """Refuse a file that was written, cut or replaced since it was opened.

        It stays open that long, so that no new file gets its inode's number.

        Raises:
            IngestError: It was.
        """
        before, change = self.identity, ""
        try:
            after = _identity(self._path.stat())
        except OSError as fault:
            change = fault.strerror or str(fault)
        else:
            if after.size != before.size:
                change = f"{before.size} bytes before, {after.size} after"
            elif (after.device, after.inode) != (before.device, before.inode):
                change = "another file has taken its place"
            elif after != before:
                change = "it was written to"
        if change:
            raise changed(self._name, f"while it was read: {change}")

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except self._faults as fault:
            raise self._damaged(fault) from fault
        except OSError as fault:
            raise IngestError(
                f"{self._name}: cannot be read to its end ({fault.strerror or fault}). Looked at {self._path}.",
                hint="Is the disk or the network share that holds it in order? Then run the ingest again.",
            ) from fault

    def _damaged(self, fault: Exception) -> IngestError:
        kind = "is cut off" if isinstance(fault, EOFError) else "is damaged"
        return IngestError(
            f"{self._name}: the {self.compression} archive {kind} ({fault}); nothing is loaded.",
            hint=f"Try it with `{'gzip' if self.compression == 'gzip' else 'zstd'} --test {self._path}`,"
            " and fetch the file again. Was it still being written?",
        )

    def _open(self, path: str, flags: int) -> int:
        # Without O_NONBLOCK a named pipe waits here for somebody who writes.
        opened = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
        mode = os.fstat(opened).st_mode
        if not stat.S_ISREG(mode):
            os.close(opened)
            kind = next((text for test, text in _KINDS if test(mode)), "no regular file")
            raise IngestError(
                f"{self._name}, line 1: this is {kind}; expected a regular file. Looked at {self._path}.",
                hint="An ingest reads its file twice. Write the data to a file first, and name that.",
            )
        return opened

    def _check_content(self, head: bytes) -> None:
        kind = other_content(head)
        if self.compression and compression(head):
            kind = f"compressed twice ({self.compression}, then {compression(head)})"
        if kind:
            inside = f", inside {self.compression}," if self.compression else ""
            raise IngestError(
                f"{self._name}, line 1: this{inside} is {kind}; expected text.",
                hint="Convert it to a CSV file; that may be compressed with gzip or zstd. A Parquet file needs "
                "`format: parquet`, or the suffix .parquet.",
            )


def changed(name: str, how: str) -> IngestError:
    """Return the error for a file that is not the one it was."""
    return IngestError(
        f"{name} has changed {how}. Nothing is loaded.",
        hint="Run the ingest again from its split, once the file is complete. Whoever delivers it should write under"
        " another name, and rename it at the end.",
    )


def compression(head: bytes) -> str:
    """Name the compression of a file by its first bytes; nothing if it is not compressed."""
    if head.startswith(_GZIP):
        return "gzip"
    is_skippable = head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5
    return "zstandard" if head.startswith(_ZSTANDARD) or is_skippable else ""


def other_content(head: bytes) -> str:
    """Name what a file holds that is not text, by its first bytes; nothing if it may be text."""
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return "compressed with bzip2"
    return next((kind for signature, kind in _OTHERS if head.startswith(signature)), "")


def _decompressed(file: FileIO, kind: str) -> tuple[FileIO | BufferedIOBase, tuple[type[Exception], ...]]:
    """Return the file's text, and what is raised if it is damaged."""
    if kind == "gzip":
        return gzip.GzipFile(fileobj=file), (EOFError, zlib.error, gzip.BadGzipFile)
    if kind == "zstandard":
        from backports import zstd

        return zstd.ZstdFile(file), (EOFError, zstd.ZstdError)
    return file, ()
