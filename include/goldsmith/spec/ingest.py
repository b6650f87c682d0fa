"""What a user writes about one raw file: where it is, which table it feeds, and on which key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from goldsmith.spec.base import SpecModel

LOAD_TIMESTAMP = "load_timestamp"

MAX_COLUMNS = 1_600 - 1
"""Columns a table of PostgreSQL may have, beside `load_timestamp`."""

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_MAX_NAME = 63
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
_OWN_TABLES = ("rejected_rows",)


class Ingest(SpecModel):
    """One raw file and the table it is upserted into.

    The table has every column of the file as text, the key as its primary key, and `load_timestamp`, which
    the database sets when a row is inserted or changed.
    """

    source: str = Field(examples=["data_lake.transactions"])
    """`schema.table` in the warehouse; the dbt source of the same name reads it."""
    file: str = Field(min_length=1, max_length=1000, examples=["include/sample_data/transactions.csv"])
    """Path of the file, relative to the repository root, or absolute, or a URL of object storage with an Airflow
    connection, `s3://connection@bucket/path`; it may have wildcards (`*`, `**`, `?`), and be compressed."""
    format: Literal["csv", "jsonl", "parquet"] | None = None
    """What the files hold; by default their suffix says it, and a suffix that says nothing means CSV."""
    key: tuple[str, ...] = Field(min_length=1)
    """Columns that name a row; of two lines with one key the later one wins."""
    columns: tuple[str, ...] = Field(min_length=1)
    """Every column of the file, spelled as in it, and if it is CSV ordered as in its header line."""
    chunk_mb: int = Field(default=32, ge=1, le=1024)
    """Size of the pieces that are loaded in parallel, in MiB."""
    max_record_mb: int = Field(default=1, ge=1, le=100)
    """Size of the longest record, in MiB; a longer one is rejected as a whole."""
    encoding: Literal["utf-8", "latin-1", "iso-8859-15", "cp1252"] = "utf-8"
    """Encoding of the file; a UTF-8 byte order mark is skipped."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """The one ASCII character between two fields."""

    @field_validator("source")
    @classmethod
    def _source_is_schema_and_table(cls, source: str) -> str:
        parts = source.split(".")
        if len(parts) != 2 or not all(_IDENTIFIER.fullmatch(part) for part in parts):
            raise ValueError(
                f"{source!r} is not schema.table in lower-case letters, digits and underscores,"
                " such as data_lake.transactions"
            )
        _check_length(parts, what="schema or table")
        if parts[0].startswith("pg_") or parts[0] == "information_schema":
            raise ValueError(f"the schema {parts[0]!r} is PostgreSQL's own; choose another one")
        if parts[1] in _OWN_TABLES:
            raise ValueError(f"the table {source!r} is where rejected rows go; choose another one")
        return source

    @field_validator("file")
    @classmethod
    def _file_has_a_place(cls, file: str) -> str:
        scheme, is_url, rest = file.partition("://")
        if is_url and (not _SCHEME.fullmatch(scheme) or scheme in ("http", "https") or not rest.strip("/")):
            raise ValueError(
                f"{file!r} is no URL of object storage, such as s3://connection@bucket/orders/*.csv; download "
                "what the web has first"
            )
        return file

    @field_validator("columns")
    @classmethod
    def _columns_are_identifiers(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(columns) > MAX_COLUMNS:
            raise ValueError(
                f"there are {len(columns):,} columns; a table of PostgreSQL has {MAX_COLUMNS + 1:,} at most, one of"
                f" which is {LOAD_TIMESTAMP}. Split the file into several"
            )
        for column in columns:
            if not _IDENTIFIER.fullmatch(column):
                raise ValueError(
                    f"column {column!r} is not a name of lower-case letters, digits and underscores"
                )
        _check_length(columns, what="column")
        if LOAD_TIMESTAMP in columns:
            raise ValueError(f"{LOAD_TIMESTAMP!r} is set by the database and cannot be a column of the file")
        for column in columns:
            if column in _SYSTEM_COLUMNS:
                raise ValueError(
                    f"column {column!r} has the name of a system column, which each table of PostgreSQL has;"
                    " rename it in the file's header and here"
                )
        return _without_repeats(columns, what="column")

    @field_validator("key")
    @classmethod
    def _key_columns_differ(cls, key: tuple[str, ...]) -> tuple[str, ...]:
        return _without_repeats(key, what="key column")

    @field_validator("delimiter")
    @classmethod
    def _delimiter_separates(cls, delimiter: str) -> str:
        if not delimiter.isascii() or delimiter.isalnum() or delimiter in '"\n\r\0.\\':
            raise ValueError(f"{delimiter!r} cannot separate fields; use a character such as , ; | or a tab")
        return delimiter

    @model_validator(mode="after")
    def _key_is_part_of_columns(self) -> Self:
        unknown = [column for column in self.key if column not in self.columns]
        if unknown:
            raise ValueError(f"key {', '.join(unknown)} is not among the columns {', '.join(self.columns)}")
        return self

    @property
    def max_record(self) -> int:
        """Bytes of the longest record."""
        return self.max_record_mb << 20

    @property
    def schema_name(self) -> str:
        """The schema part of `source`."""
        return self.source.split(".")[0]

    @property
    def table_name(self) -> str:
        """The table part of `source`."""
        return self.source.split(".")[1]

    @property
    def last_task_id(self) -> str:
        """Id of the Airflow task after which the table holds the file."""
        return f"ingest.{self.table_name}.merge"


def _check_length(names: Sequence[str], *, what: str) -> None:
    """Refuse names that PostgreSQL would cut, and say which ones it would then take for one."""
    for name in (name for name in names if len(name) > _MAX_NAME):
        same = [other for other in names if other != name and other[:_MAX_NAME] == name[:_MAX_NAME]]
        clash = f", after which it equals {same[0]!r}" if same else ""
        raise ValueError(
            f"{what} {name!r} has {len(name)} bytes; PostgreSQL cuts names after {_MAX_NAME}{clash}."
            " Choose a shorter name"
        )


def _without_repeats(names: tuple[str, ...], *, what: str) -> tuple[str, ...]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{what} {', '.join(repeated)} is listed twice")
    return names
