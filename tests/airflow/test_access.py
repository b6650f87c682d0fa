"""Which address and login an Airflow connection stands for."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Connection

from goldsmith.engine.access import client_of
from goldsmith.errors import NoApiAccess

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"uri": f"http://me:{SECRET}@localhost:8080"}, "http://localhost:8080"),
        ({"uri": f"https://me:{SECRET}@airflow.example.com"}, "https://airflow.example.com"),
        ({"uri": f"http://me:{SECRET}@airflow.example.com:8443/https"}, "https://airflow.example.com:8443"),
        ({"host": "https://example.com/path/", "password": SECRET}, "https://example.com/path"),
        (
            {"host": "https://example.com/path", "port": 8443, "password": SECRET},
            "https://example.com:8443/path",
        ),
        ({"host": "api-server", "port": 8080, "login": "me", "password": SECRET}, "http://api-server:8080"),
    ],
)
def test_a_connection_leads_to_an_address(fields: dict[str, Any], url: str) -> None:
    """From its parts or from a whole URL; the secret does not show."""
    with client_of(Connection(conn_id="goldsmith_api", **fields)) as api:
        assert api.base_url == url
        assert SECRET not in repr(vars(api)["_login"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"host": "", "password": SECRET}, "has no host"),
        ({"host": "airflow"}, "has no password"),
        ({"host": f"http://me:{SECRET}@airflow", "password": SECRET}, "holds a login"),
        ({"host": "ftp://airflow", "password": SECRET}, "is no URL"),
        ({"host": "air flow:x", "password": SECRET}, "is no URL"),
    ],
)
def test_what_a_connection_lacks_is_said(fields: dict[str, Any], said: str) -> None:
    """With where to read on, and without the secret."""
    with pytest.raises(NoApiAccess, match=said) as problem:
        client_of(Connection(conn_id="goldsmith_api", conn_type="http", **fields))
    assert "docs/api-access.md" in problem.value.hint
    assert SECRET not in str(problem.value)
