from __future__ import annotations

import pytest

from goldsmith.dbt.error_class import error_class

_AT = 'connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  '


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (f'Database Error\n  {_AT}password authentication failed for user "dbt"', "login refused"),
        (f'Database Error\n  {_AT}database "shop" does not exist', "login refused"),
        (f"Database Error\n  {_AT}sorry, too many clients already", "too many connections"),
        (f"Database Error\n  {_AT}the database system is starting up", "warehouse starting or stopping"),
        (f"Database Error\n  {_AT.removesuffix('FATAL:  ')}Connection refused", "connection lost"),
        (
            'Database Error in model a\n  duplicate key value violates unique constraint "pg_type_typname_nsp_index"',
            "concurrent change of the catalogue",
        ),
        (
            'Database Error in model a\n  duplicate key value violates unique constraint "orders_pkey"',
            "data error",
        ),
        ("[DELTA_CONCURRENT_APPEND.WHOLE_TABLE_READ] Transaction conflict", "serialization failure"),
        ("Error during request to server: HTTP 503: Service Unavailable", "connection lost"),
        ("Request failed with status code 429", "too many requests"),
        (
            "[TEMPORARILY_UNAVAILABLE] The service at /sql is temporarily unavailable",
            "warehouse starting or stopping",
        ),
        ("[DIVIDE_BY_ZERO] Division by zero. SQLSTATE: 22012", "data error"),
        ("[SOMETHING_NEW] No table of that name. SQLSTATE: 42P01", "SQL error"),
        ("Database Error in model a\n  error 4290 in column 503", None),
        ("broken on purpose", None),
    ],
)
def test_the_first_class_whose_text_is_found(message: str, name: str | None) -> None:
    """What names the server while connecting is no lost connection where the login was wrong."""
    found = error_class(message)
    assert (found.name if found else None) == name
