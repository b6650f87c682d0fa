"""What a user may write about an ingest, and what of it could never be a table."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from goldsmith.spec.ingest import MAX_COLUMNS, Ingest

WRITTEN: dict[str, Any] = {"file": "a.csv", "source": "lake.orders", "key": ["id"], "columns": ["id", "day"]}
LONG = "x" * 63


def test_the_parts_of_a_spec_name_table_and_task() -> None:
    """And lengths are bytes."""
    made = Ingest.model_validate({**WRITTEN, "max_record_mb": 2})
    assert (made.schema_name, made.table_name, made.last_task_id) == ("lake", "orders", "ingest.orders.merge")
    assert made.delimiter == ","
    assert Ingest.model_validate({**WRITTEN, "delimiter": "\t"}).delimiter == "\t"
    assert made.max_record == 2 * 1024 * 1024


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"source": "orders"}, "'orders' is not schema.table"),
        ({"source": "Lake.orders"}, "'Lake.orders' is not schema.table"),
        ({"source": "pg_lake.orders"}, "the schema 'pg_lake' is PostgreSQL's own"),
        ({"source": "information_schema.orders"}, "PostgreSQL's own"),
        ({"source": "lake.rejected_rows"}, "is where rejected rows go"),
        ({"source": f"lake.{LONG}y"}, "has 64 bytes; PostgreSQL cuts names after 63"),
        ({"columns": ["id", "Day"]}, "column 'Day' is not a name of lower-case letters"),
        ({"columns": ["id", f"{LONG}a", f"{LONG}b"]}, f"after which it equals '{LONG}b'"),
        ({"columns": ["id", "load_timestamp"]}, "is set by the database"),
        ({"columns": ["id", "ctid"]}, "the name of a system column"),
        ({"columns": ["id", "day", "day"]}, "column day is listed twice"),
        (
            {"columns": ["id", *(f"c{number}" for number in range(MAX_COLUMNS))]},
            "columns; a table of PostgreSQL has",
        ),
        ({"key": ["id", "id"]}, "key column id is listed twice"),
        ({"key": ["customer"]}, "key customer is not among the columns id, day"),
        ({"delimiter": "x"}, "'x' cannot separate fields"),
        ({"delimiter": "§"}, "cannot separate fields"),
    ],
)
def test_what_could_be_no_table_is_refused(changed: dict[str, Any], expected: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValidationError) as caught:
        Ingest.model_validate({**WRITTEN, **changed})
    assert expected in str(caught.value)
