from __future__ import annotations

import pytest

from goldsmith.dbt.error_class import ABOUT_THE_WAREHOUSE, ERROR_CLASSES, error_class, shared_reason

_AT = 'connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  '


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (f'Database Error\n  {_AT}password authentication failed for user "dbt"', "password refused"),
        (f'Database Error\n  {_AT}database "shop" does not exist', "unknown database"),
        (f"Database Error\n  {_AT}sorry, too many clients already", "too many connections"),
        (f"Database Error\n  {_AT}the database system is starting up", "warehouse starting or stopping"),
        (f"Database Error\n  {_AT.removesuffix('FATAL:  ')}Connection refused", "nothing listens"),
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
        (f'{_AT}permission denied for database "shop"', "no right to connect"),
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
        (f'{_AT}role "dbt" does not exist', "unknown user"),
        ("fe_sendauth: no password supplied", "password refused"),
        ("Parsing Error\n  Env var required but not provided: 'SHOP_USER'", "variable not set"),
        ("Runtime Error\n    Could not find adapter type oracle!", "unknown adapter"),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", "host unknown"),
        ("connection timeout expired", "no answer"),
        ("Error during request to server: : Invalid access token. [ReqId: x]. ", "token refused"),
        ("Error during request to server. \nmore", "request refused"),
        (
            "Error during request to server: User does not have permission to use SQL warehouse abc. ",
            "permission denied",
        ),
        ("dbt test for 1 nodes ended with code -9; 1 of them were not reached.", "dbt was lost"),
        ("dbt test for 1 nodes ended with code 2; 1 of them were not reached.", None),
        ("The warehouse has ended the session that made this task the only writer: it", "dbt was lost"),
    ],
)
def test_the_first_class_whose_text_is_found(message: str, name: str | None) -> None:
    """What names the server while connecting is no lost connection where the login was wrong."""
    found = error_class(message)
    assert (found.name if found else None) == name


def test_a_reason_that_is_no_nodes_own_is_the_same_for_all() -> None:
    """A right that many nodes lack, whatever dbt says of where each of them is."""
    said = [
        f"Database Error in model {name} (models/{name}.sql)\n  permission denied for schema gold\n{where}"
        f"  compiled code at target/run/shop/models/{name}.sql"
        for name, where in (("a", ""), ("b", '  LINE 12:     select * from "gold"."x"\n                 ^\n'))
    ]
    assert {shared_reason(one) for one in said} == {"Database Error\npermission denied for schema gold"}
    assert shared_reason("Database Error in model a (models/a.sql)\n  division by zero") == ""
    assert shared_reason("Got 1 result, configured to fail if != 0") == ""
    assert {one.name for one in ERROR_CLASSES} > ABOUT_THE_WAREHOUSE
