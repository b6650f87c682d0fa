"""Values of Parquet files as text, and rows and columns that have none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldsmith.errors import IngestError
from goldsmith.ingest.parquet import read_parquet
from goldsmith.spec.ingest import Ingest

ONE = UUID("f3d864d9-6765-4a08-bd4c-d550ad49e4fe")
BROKEN = pa.Array.from_buffers(
    pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xffb")]
)


def ingest_of(path: Path, column: Any) -> Ingest:
    """The ingest of a file of one column."""
    pq.write_table(pa.table({"x": column}), path / "a.parquet")
    return Ingest(source="lake.things", file="a.parquet", key=("x",), columns=("x",))


def text_of(path: Path, column: Any) -> str | None:
    """The first value of a column."""
    return next(read_parquet(path / "a.parquet", ingest_of(path, column))).values[0]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([Decimal(0)], pa.decimal128(38, 18)), "0.000000000000000000"),
        (pa.array([Decimal("-0.00000001")], pa.decimal128(20, 8)), "-0.00000001"),
        (pa.array([Decimal("1.10")], pa.decimal256(60, 2)), "1.10"),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        (pa.array([ONE.bytes], pa.uuid()), str(ONE)),
        (pa.array([b"\xff"]).dictionary_encode(), "\\xff"),
        (pa.array([b"\xff"], pa.large_binary()), "\\xff"),
        (pa.array([{"a": b"\x00\xff", "b": Decimal("1E-8")}]), '{"a": "\\\\x00ff", "b": "0.00000001"}'),
        (pa.array([[float("nan"), float("-inf"), 0.5, None]]), '["nan", "-inf", 0.5, null]'),
        (pa.array([[datetime(2026, 1, 2, tzinfo=UTC)]]), '["2026-01-02 00:00:00+00:00"]'),
        (pa.array([[("a", [True])]], pa.map_(pa.string(), pa.list_(pa.bool_()))), '[["a", [true]]]'),
        (pa.array([1767323045123456], pa.timestamp("us", "UTC")), "2026-01-02 03:04:05.123456Z"),
        (pa.nulls(1), None),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_each_type_has_a_text_without_loss(tmp_path: Path, column: Any, text: str | None) -> None:
    """Decimals without exponents, bytes in hex also where they are nested, and JSON that is JSON."""
    assert text_of(tmp_path, column) == text


def test_a_text_that_is_not_utf_8_is_a_rejected_row(tmp_path: Path) -> None:
    """And not the end of the load: the file's other rows are good."""
    found = list(read_parquet(tmp_path / "a.parquet", ingest_of(tmp_path, BROKEN)))
    assert [(one.line, one.values[0], one.reason) for one in found] == [
        (1, "a\\xff", "bytes that are not utf-8"),
        (2, "b", ""),
    ]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1], pa.timestamp("us", "Nowhere/City")),
        pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]),
    ],
    ids=["zone", "names"],
)
def test_a_value_without_a_text_names_its_column_and_type(tmp_path: Path, column: Any) -> None:
    """Nobody could say what was loaded."""
    with pytest.raises(
        IngestError, match=r"a value of column x, of type .* cannot be written as text"
    ) as caught:
        text_of(tmp_path, column)
    assert caught.value.hint == "Have that column written as text, or as another type."
