"""A profiles.yml as the Airflow connection that means the same: as a shell, Airflow and Cosmos read it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from goldsmith.adopt.connection import CONNECTIONS, same_connection

SECRET = "{{ env_var('PG_PASS') }}"
PG = {
    "type": "postgres",
    "host": "db.example.com",
    "user": "me",
    "port": 5433,
    "dbname": "shop",
    "schema": "s",
}
OUTPUTS: dict[str, dict[str, Any]] = {
    "postgres": {**PG, "password": SECRET, "sslmode": "require", "keepalives_idle": 5},
    "quotes": {**PG, "dbname": "it's \"it\"", "password": SECRET},
    "default": {**PG, "host": "{{ env_var('PG_HOST', 'localhost') }}", "password": "{{ env_var('PG_PASS', '') }}"},
    "redshift": {**PG, "type": "redshift", "password": SECRET, "region": "eu-west-1"},
    "databricks": {"type": "databricks", "host": "dbc.example.com", "http_path": "/sql/1", "schema": "s",
                   "token": SECRET},
    "snowflake": {
        "type": "snowflake", "account": "a1", "user": "me", "password": SECRET, "database": "d",
        "warehouse": "w", "role": "r", "schema": "s", "threads": 4,
    },
    "bigquery": {"type": "bigquery", "method": "service-account", "project": "p", "dataset": "s", "keyfile": "/k.json"},
    "trino": {"type": "trino", "method": "ldap", "host": "h", "port": 8443, "user": "me", "password": SECRET,
              "database": "d", "schema": "s"},
    "sqlserver": {"type": "sqlserver", "server": "h", "port": 1433, "user": "me", "password": SECRET,
                  "database": "d", "schema": "s", "driver": "ODBC Driver 18"},
    "duckdb": {"type": "duckdb", "path": "/data/shop.duckdb", "schema": "s"},
}  # fmt: skip


def evaluated(line: str) -> str:
    """What a shell makes of the line, as Airflow gets it."""
    script = f'{line}\nprintf %s "$AIRFLOW_CONN_WAREHOUSE"'
    return subprocess.run(
        ["bash", "-c", script], env={"PG_PASS": "secret 'x'"}, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_line_means_what_the_output_means(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Cosmos makes of the connection has all that dbt connects by."""
    from goldsmith.dbt.profile import profile_mapping

    output = OUTPUTS[name]
    same = same_connection(output, "warehouse")
    assert same is not None
    assert "secret" not in same.line
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", evaluated(same.line))
    args = {**same.extra, "schema": "s", "threads": 4}
    mapping = profile_mapping("warehouse", args)
    made = {**mapping.profile, **{key: mapping.get_dbt_value(key) for key in mapping.secret_fields}}
    for key, written in output.items():
        if key in ("threads", "method") or (name == "bigquery" and key == "schema"):
            continue
        expected = "secret 'x'" if "PG_PASS" in str(written) and "''" not in str(written) else written
        expected = {"default": {"host": "localhost", "password": "secret 'x'"}}.get(name, {}).get(
            key, expected
        )
        found = made.get(key) if key != "dbname" or name != "redshift" else made.get("dbname")
        assert str(found) == str(expected), key


def test_a_secret_that_stands_in_the_file_gets_a_variable() -> None:
    """It is not printed."""
    same = same_connection({**PG, "password": "hunter2", "search_path": "a"}, "shop_db")
    assert same is not None
    assert "hunter2" not in same.line
    assert same.variables == ("SHOP_DB_PASSWORD",)
    assert '"${SHOP_DB_PASSWORD}"' in same.line
    assert dict(same.extra) == {"search_path": "a"}


def test_an_adapter_without_a_connection_has_none() -> None:
    """Its profiles.yml stays the connection."""
    assert same_connection({"type": "materialize"}, "warehouse") is None


def test_the_table_is_that_of_cosmos() -> None:
    """A field that Cosmos reads elsewhere would be lost."""
    from cosmos.profiles import profile_mappings

    for kind, (conn_type, places) in CONNECTIONS.items():
        theirs = [
            one
            for one in profile_mappings
            if (one.dbt_profile_type, one.airflow_connection_type) == (kind, conn_type)
        ]
        assert theirs, kind
        known: dict[str, set[str]] = {}
        for mapping in theirs:
            for key, where in mapping.airflow_param_mapping.items():
                known.setdefault(key, set()).update([where] if isinstance(where, str) else where)
        for key, place in places.items():
            if key in known:
                assert place in known[key], (kind, key)


def test_what_a_shell_gets_is_json() -> None:
    """Airflow reads a connection in JSON."""
    same = same_connection(OUTPUTS["quotes"], "warehouse")
    assert same is not None
    assert json.loads(evaluated(same.line))["schema"] == 'it\'s "it"'
