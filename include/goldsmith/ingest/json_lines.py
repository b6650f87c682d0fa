"""JSON lines: one object a line, https://jsonlines.org. Numbers keep the digits that they are written with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from goldsmith.errors import IngestError
from goldsmith.ingest.converted import Record
from goldsmith.ingest.records import KEPT
from goldsmith.ingest.source import RawFile
from goldsmith.spec.ingest import Ingest

_BLOCK = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def check_first_line(file: RawFile, ingest: Ingest) -> None:
    """Refuse a file that is something else: a rejected row for each of its lines would say little.

    Raises:
        IngestError: Its first line does not begin a JSON object.
    """
    for line, data, _ in lines_of(file, ingest):
        start = data.lstrip()[:80]
        if start and not start.startswith(b"{"):
            raise IngestError(
                f"{ingest.file}, line {line}: no JSON object: {_text(start, ingest)!r}; expected one in each line.",
                hint="A list becomes lines by: jq -c '.[]' FILE. For another format write `format:` into the spec.",
            )
        if start:
            break
    file.seek(0)


def read_json_lines(file: RawFile, ingest: Ingest, seen: Callable[[bytes], object]) -> Iterator[Record]:
    """Yield the records of a file.

    Args:
        file: At its start.
        ingest: Its columns and limits.
        seen: Called with all bytes, in order.
    """
    for line, data, size in lines_of(file, ingest, seen):
        if size > ingest.max_record:
            reason = f"a record of {size:,} bytes, longer than `max_record_mb: {ingest.max_record_mb}` allows"
            yield Record(line=line, reason=reason, raw=f"{_text(data, ingest)}...")
        else:
            yield _record(line, data, ingest)


def lines_of(
    file: RawFile, ingest: Ingest, seen: Callable[[bytes], object] = len
) -> Iterator[tuple[int, bytes, int]]:
    """Yield number, bytes without the line end and size of each line; of one that is too long only the start.

    Args:
        file: The file, read from where it is.
        ingest: How long a record may be.
        seen: Called with all bytes, in order.
    """
    number, rest, size = 0, b"", 0
    while block := file.read(_BLOCK):
        seen(block)
        *ended, open_end = block.split(b"\n")
        for piece in ended:
            number += 1
            size += len(piece)
            yield (
                number,
                _clean(rest + piece if size <= ingest.max_record else (rest + piece)[:KEPT], number),
                size,
            )
            rest, size = b"", 0
        size += len(open_end)
        # Of a line that is too long no more is kept than is shown of it.
        rest = rest + open_end if size <= ingest.max_record else (rest + open_end)[:KEPT]
    if size:
        yield number + 1, _clean(rest, number + 1), size


def _clean(data: bytes, number: int) -> bytes:
    data = data.removesuffix(b"\r")
    return data.removeprefix(_BYTE_ORDER_MARK) if number == 1 else data


def _record(line: int, data: bytes, ingest: Ingest) -> Record:
    raw = _text(data, ingest)
    try:
        reason, found = _parsed(data, ingest)
        if not reason:
            return Record(line=line, values=[_value(found.get(name)) for name in ingest.columns], raw=raw)
    except RecursionError:  # of the parser, or later of ours, which needs more of the stack
        reason = "JSON that is nested too deeply"
    return Record(line=line, reason=reason, raw=raw)


def _parsed(data: bytes, ingest: Ingest) -> tuple[str, dict[str, Any]]:
    if not data.strip():
        return "an empty line", {}
    try:
        text = data.decode(ingest.encoding)
    except UnicodeDecodeError:
        return f"bytes that are not {ingest.encoding}", {}
    try:
        found = json.loads(
            text, parse_int=_Number, parse_float=_Number, parse_constant=_refuse, object_pairs_hook=_once
        )
    except ValueError as error:
        return f"no JSON: {error}", {}
    if not isinstance(found, dict):
        return "no JSON object", {}
    unknown = [key for key in found if key not in ingest.columns]
    return (f"unexpected key {unknown[0]}" if unknown else ""), found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)} stands twice")
    return found


def _value(found: Any) -> str | None:
    """A value as text: a text itself, a number as it is written, lists and objects as JSON."""
    if found is None or isinstance(found, str):
        return None if found is None else str(found)
    return _json(found)


def _json(found: Any) -> str:
    if isinstance(found, _Number):
        return str(found)
    if isinstance(found, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {_json(one)}" for key, one in found.items())
            + "}"
        )
    if isinstance(found, list):
        return "[" + ", ".join(map(_json, found)) + "]"
    return json.dumps(found, ensure_ascii=False)


def _text(data: bytes, ingest: Ingest) -> str:
    return data[:KEPT].decode(ingest.encoding, "backslashreplace")
