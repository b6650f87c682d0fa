"""Parquet files, by pyarrow: in batches, each value as the text that PostgreSQL reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldsmith.errors import IngestError
from goldsmith.extras import need_extra
from goldsmith.ingest.converted import Record
from goldsmith.spec.ingest import Ingest

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS = 4_096
"""Rows of a batch: what is in memory at once."""
_PLAIN_PLACES = 6
"""Places of a decimal up to which pyarrow writes it without an exponent."""


def rows_of(path: Path, ingest: Ingest) -> int:
    """Check a file, and count its rows.

    Raises:
        IngestError: It is no Parquet file, or has other columns.
        EnvironmentProblem: pyarrow is not installed.
    """
    with _opened(path, ingest) as file:
        found = list(file.schema_arrow.names)
        missing = [name for name in ingest.columns if name not in found]
        unknown = [name for name in found if name not in ingest.columns]
        twice = len(set(found)) < len(found)
        if missing or unknown or twice:
            faults = [
                *([f"missing: {', '.join(missing)}"] if missing else []),
                *([f"not expected: {', '.join(unknown)}"] if unknown else []),
                *(["a column stands twice"] if twice else []),
            ]
            raise IngestError(
                f"{ingest.file}: the columns are {', '.join(found)}; expected {', '.join(ingest.columns)} "
                f"({'; '.join(faults)}).",
                hint=f"Correct the file, or `columns` of {ingest.source} in the pipeline spec.",
            )
        return int(file.metadata.num_rows)


def read_parquet(path: Path, ingest: Ingest) -> Iterator[Record]:
    """Yield the records of a file that `rows_of` has checked.

    Raises:
        IngestError: It is damaged.
    """
    line = 0
    with _opened(path, ingest) as file:
        for batch in _batches(file, ingest):
            broken: set[int] = set()
            columns = [_texts_of(batch, name, ingest, broken) for name in ingest.columns]
            for index, values in enumerate(zip(*columns, strict=True)):
                line += 1
                reason = "bytes that are not utf-8" if index in broken else ""
                yield Record(line=line, values=values, reason=reason)


def _opened(path: Path, ingest: Ingest) -> pq.ParquetFile:
    need_extra("parquet", f"The file {ingest.file}")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise IngestError(
            f"{ingest.file} is no Parquet file, or is damaged: {error}",
            hint="Was it still being written? For another format write `format:` into the spec.",
        ) from error


def _batches(file: pq.ParquetFile, ingest: Ingest) -> Iterator[Any]:
    import pyarrow as pa

    try:
        yield from file.iter_batches(batch_size=_ROWS, columns=list(ingest.columns))
    except (pa.ArrowException, OSError) as error:
        raise IngestError(
            f"{ingest.file} is damaged: {error}", hint="Fetch the file again. Was it still being written?"
        ) from error


def _texts_of(batch: pa.RecordBatch, name: str, ingest: Ingest, broken: set[int]) -> list[str | None]:
    import pyarrow as pa

    column = batch.column(name)
    try:
        return _texts(column, broken)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise IngestError(
            f"{ingest.file}: a value of column {name}, of type {column.type}, cannot be written as text: {error}",
            hint="Have that column written as text, or as another type.",
        ) from error


def _texts(column: pa.Array, broken: set[int]) -> list[str | None]:
    """Values as text; the positions of texts that are not UTF-8 are added to `broken`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _texts(column.dictionary_decode(), broken)
    if isinstance(kind, pa.BaseExtensionType) and kind.extension_name != "arrow.uuid":
        return _texts(column.storage, broken)
    # A decimal of more than six places may be written as 1E-8 by pyarrow.
    if (pa.types.is_decimal(kind) and kind.scale > _PLAIN_PLACES) or _is_for_python(kind):
        return [None if value is None else _text(value) for value in column.to_pylist()]
    return _decoded(pc.cast(column, pa.string()), broken)


def _is_for_python(kind: pa.DataType) -> bool:
    """Whether pyarrow has no text for a type, or one that PostgreSQL does not read."""
    import pyarrow as pa

    types = pa.types
    return (
        types.is_nested(kind)
        or types.is_fixed_size_binary(kind)
        or isinstance(kind, pa.BaseExtensionType)
        or kind in {pa.binary(), pa.large_binary(), pa.binary_view()}
    )


def _decoded(column: pa.Array, broken: set[int]) -> list[str | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts: list[str | None]
    try:
        texts = column.to_pylist()
    except UnicodeDecodeError:
        found = pc.cast(column, pa.binary()).to_pylist()
        texts = [None if value is None else value.decode("utf-8", "backslashreplace") for value in found]
        broken |= {at for at, value in enumerate(found) if value is not None and not _is_text(value)}
    return texts


def _is_text(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _text(value: Any) -> str:
    """A value as text; one that is nested as JSON, in which what JSON does not have is text."""
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, Decimal):
        return format(value, "f")
    is_json = value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))
    return value if is_json else str(value)
