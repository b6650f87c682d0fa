"""Parquet files, by pyarrow: in batches, each value as the text that PostgreSQL reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldsmith.errors import IngestError
from goldsmith.extras import need_extra
from goldsmith.ingest.converted import Record
from goldsmith.spec.ingest import Ingest

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_ROWS = 4_096
"""Rows of a batch: what is in memory at once."""


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
            columns = [_texts(batch.column(name)) for name in ingest.columns]
            for values in zip(*columns, strict=True):
                line += 1
                yield Record(line=line, values=values)


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


def _texts(column: Any) -> list[str | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [None if value is None else f"\\x{value.hex()}" for value in column.to_pylist()]
    if pa.types.is_nested(kind):
        return [
            None if value is None else json.dumps(value, ensure_ascii=False, default=str)
            for value in column.to_pylist()
        ]
    texts: list[str | None] = pc.cast(column, pa.string()).to_pylist()
    return texts
