"""What a user writes about one raw file: where it is, which table it feeds, and on which key."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from goldsmith.spec.base import SpecModel

LOAD_TIMESTAMP = "load_timestamp"

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Ingest(SpecModel):
    """One raw file and the table it is upserted into.

    The table has every column of the file as text, the key as its primary key, and `load_timestamp`, which
    the database sets when a row is inserted or changed.
    """

    source: str = Field(examples=["data_lake.transactions"])
    """`schema.table` in the warehouse; the dbt source of the same name reads it."""
    file: str = Field(min_length=1, examples=["include/sample_data/transactions.csv"])
    """Path of the file, relative to the repository root, or absolute."""
    key: tuple[str, ...] = Field(min_length=1)
    """Columns that name a row; of two lines with one key the later one wins."""
    columns: tuple[str, ...] = Field(min_length=1)
    """Every column of the file, spelled and ordered as in its header line."""
    chunk_mb: int = Field(default=32, ge=1, le=1024)
    """Size of the pieces that are loaded in parallel, in MiB."""
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
        return source

    @field_validator("columns")
    @classmethod
    def _columns_are_identifiers(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        for column in columns:
            if not _IDENTIFIER.fullmatch(column):
                raise ValueError(
                    f"column {column!r} is not a name of lower-case letters, digits and underscores"
                )
        if LOAD_TIMESTAMP in columns:
            raise ValueError(f"{LOAD_TIMESTAMP!r} is set by the database and cannot be a column of the file")
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


def _without_repeats(names: tuple[str, ...], *, what: str) -> tuple[str, ...]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{what} {', '.join(repeated)} is listed twice")
    return names
