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
        ('Database Error in model a\n  invalid input syntax for type integer: "error 503"', "data error"),
        (f'{_AT}permission denied for database "shop"', "login refused"),
        (f'{_AT}role "dbt" is not permitted to log in', "login refused"),
        ("connection to server failed: SSL error: certificate verify failed", "login refused"),
        ('column "id" specified more than once', "SQL error"),
        ('missing FROM-clause entry for table "o"', "SQL error"),
        ('invalid reference to FROM-clause entry for table "o"', "SQL error"),
        ('unterminated quoted string at or near "\'"', "SQL error"),
        ("subquery must return only one column", "SQL error"),
        ("argument of WHERE must be type boolean, not type integer", "SQL error"),
        ("window functions are not allowed in WHERE", "SQL error"),
        ('"orders" is not a view', "SQL error"),
        ('cannot change data type of view column "id" from integer to text', "SQL error"),
        ('cannot change name of view column "id" to "key"', "SQL error"),
        ("cannot drop columns from view", "SQL error"),
        ("INSERT has more expressions than target columns", "SQL error"),
        ("cannot insert multiple commands into a prepared statement", "SQL error"),
        ("for SELECT DISTINCT, ORDER BY expressions must appear in select list", "SQL error"),
        ("could not determine polymorphic type because input has type unknown", "SQL error"),
        ("numeric field overflow", "data error"),
        ('invalid byte sequence for encoding "UTF8": 0x00', "data error"),
        ("interval out of range", "data error"),
        ("cannot take logarithm of a negative number", "data error"),
        ("cannot execute INSERT in a read-only transaction", None),  # a standby, after a failover
        ("broken on purpose", None),
    ],
)
def test_the_first_class_whose_text_is_found(message: str, name: str | None) -> None:
    """What names the server while connecting is no lost connection where the login was wrong."""
    found = error_class(message)
    assert (found.name if found else None) == name
