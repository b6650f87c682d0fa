"""What a warehouse, its driver or dbt says before any node runs, as one error."""

from __future__ import annotations

import json

import pytest

from goldsmith.errors import EnvironmentProblem, GoldsmithError, UnusableConnection, WarehouseRefused
from goldsmith.profile_file import ProfileFile
from goldsmith.warehouse.databricks import DatabricksWarehouse
from goldsmith.warehouse.explain import explained

SERVER = {"host": "db", "port": 5432, "login": "ann", "password": "hush-hush", "schema": "shop"}
SHOP = "(Airflow connection 'shop')"
OF_SHOP = "of the Airflow connection 'shop' (AIRFLOW_CONN_SHOP, or Admin > Connections)"
AT = 'connection to server at "db" (10.0.0.1), port 5432 failed: '


@pytest.fixture(autouse=True)
def _connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "postgres", **SERVER}))
    lake = {"conn_type": "databricks", "host": "dbc.example.com", "password": "hush-hush"}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(lake))


@pytest.mark.parametrize(
    ("said", "kind", "message", "hint"),
    [
        (
            f'{AT}FATAL:  password authentication failed for user "ann"',
            WarehouseRefused,
            "The warehouse at db:5432 refuses the password of the user ann (Airflow connection 'shop').",
            "Correct `password` of the Airflow connection 'shop' (AIRFLOW_CONN_SHOP, or Admin > Connections)",
        ),
        (
            f'{AT}FATAL:  role "ann" does not exist',
            WarehouseRefused,
            "The warehouse at db:5432 has no user ann (Airflow connection 'shop').",
            "Correct `login` of the Airflow connection 'shop' (AIRFLOW_CONN_SHOP, or Admin > Connections)",
        ),
        (
            f'{AT}FATAL:  database "shop" does not exist',
            WarehouseRefused,
            "The warehouse at db:5432 has no database shop (Airflow connection 'shop').",
            f"Correct `schema` {OF_SHOP}, or create it: createdb shop",
        ),
        (
            f'{AT}FATAL:  permission denied for database "shop"\nDETAIL:  User does not have CONNECT privilege.',
            WarehouseRefused,
            "The user ann may not connect to the database shop at db:5432 (Airflow connection 'shop').",
            'GRANT CONNECT ON DATABASE "shop" TO "ann";',
        ),
        (
            f"{AT}FATAL:  no pg_hba.conf entry for user ann",
            WarehouseRefused,
            f"The warehouse at db:5432 refuses the user ann {SHOP}: no pg_hba.conf entry for user ann",
            f"Show this to the administrator of the warehouse, or correct `login` {OF_SHOP}",
        ),
        (
            f"{AT}Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
            EnvironmentProblem,
            "Nothing listens at db:5432 (Airflow connection 'shop'): the warehouse is stopped, or has another address.",
            f"Start it, or correct `host` {OF_SHOP}",
        ),
        (
            "failed to resolve host 'db': [Errno -2] Name or service not known",
            EnvironmentProblem,
            "There is no host db (Airflow connection 'shop').",
            f"Correct `host` {OF_SHOP}",
        ),
        (
            "connection timeout expired",
            EnvironmentProblem,
            f"The warehouse at db:5432 does not answer {SHOP}: it is stopped, or behind a firewall.",
            f"Start it, or correct `host` {OF_SHOP}",
        ),
        (
            f"{AT}FATAL:  the database system is starting up",
            EnvironmentProblem,
            f"The warehouse at db:5432 takes no connection now {SHOP}: the database system is starting up",
            "Try again when it has started",
        ),
        (
            f"{AT}FATAL:  sorry, too many clients already",
            EnvironmentProblem,
            f"The warehouse at db:5432 has no connection left for the user ann {SHOP}: sorry, too many clients already",
            "Lower `threads` in the pipeline spec, or raise the limit in the warehouse",
        ),
        (
            "Encountered an error:\nParsing Error\n  Env var required but not provided: 'SHOP_USER'",
            UnusableConnection,
            "dbt needs the environment variable SHOP_USER, which is not set: in the project, or in its profile.",
            "export SHOP_USER=... for all of Airflow's components, or write it into .env beside dbt_project.yml",
        ),
        (
            "Runtime Error\n    Could not find adapter type oracle!",
            UnusableConnection,
            "dbt has no adapter for the type 'oracle' (Airflow connection 'shop').",
            "Install the adapter beside dbt: pip install dbt-oracle",
        ),
        (
            "Runtime Error\n    Could not find adapter type postgress!",
            UnusableConnection,
            "dbt has no adapter for the type 'postgress' (Airflow connection 'shop'). Did you mean postgres?",
            "Correct `conn_type` of the Airflow connection 'shop' (AIRFLOW_CONN_SHOP, or Admin > Connections)",
        ),
    ],
)
def test_what_was_said_is_one_error_with_one_hint(
    said: str, kind: type[GoldsmithError], message: str, hint: str
) -> None:
    """With the connection, host and user, and never the password."""
    found = explained(said, "shop")
    assert type(found) is kind
    assert (found.message, found.hint) == (message, hint)


@pytest.mark.parametrize("said", ["division by zero", "server closed the connection unexpectedly", ""])
def test_what_is_about_something_else_is_left_alone(said: str) -> None:
    """It has words of its own."""
    assert explained(said, "shop") is None


def test_a_right_that_is_missing_has_the_statement_that_gives_it() -> None:
    """As the warehouse knows it."""
    said = "Database Error\n  permission denied for database shop"
    found = explained(said, "shop", grant=lambda text: f"GRANT {text.split()[-1]};")
    assert isinstance(found, WarehouseRefused)
    assert (found.message, found.hint) == (
        f"The user ann lacks a right in the warehouse at db:5432 {SHOP}: permission denied for database shop",
        "GRANT shop;",
    )
    assert "the owner" in str(explained(said, "shop"))


def test_in_a_signal_handler_airflow_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier session knew is enough."""
    monkeypatch.delenv("AIRFLOW_CONN_SHOP")
    known = {"host": "db2", "port": "5433", "user": "bob"}
    assert "Nothing listens at db2:5433" in str(explained(f"{AT}Connection refused", "shop", known=known))


def test_databricks_names_the_right_itself() -> None:
    """As its error conditions have it."""
    said = (
        "[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\nUser does not have USE SCHEMA on Schema 'main.gold'. "
        "SQLSTATE: 42501"
    )
    grant = DatabricksWarehouse("lake", "databricks").grant_for(said)
    assert grant == "GRANT USE SCHEMA ON SCHEMA main.gold TO `user@example.com`;"
    assert DatabricksWarehouse("lake", "databricks").grant_for("division by zero") == ""


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("Error during request to server: : Invalid access token. [ReqId: x]. ", "refuses the token"),
        ("Error during request to server. \n", "the token is wrong or old, or the http_path is"),
        (
            "Max retries exceeded with url: /sql/1 (Caused by NameResolutionError(Failed to resolve 'd' ([Errno -2])))",
            "There is no host dbc.example.com (Airflow connection 'lake')",
        ),
    ],
)
def test_what_the_connector_of_databricks_says(said: str, message: str) -> None:
    """A token has expired, or there is no such warehouse."""
    found = explained(said, "lake")
    assert found is not None
    assert message in found.message
    assert "hush" not in str(found)


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("plain", "Correct `pass` of the profile shop, target it in {file}"),
        ("{{ env_var('SHOP_SECRET') }}", "Correct the environment variable SHOP_SECRET"),
        (
            "{{ env_var('VAULT') }}",
            "Correct `password` of the Airflow connection 'shop' (AIRFLOW_CONN_SHOP, or Admin > Connections)",
        ),
    ],
)
def test_in_a_profiles_yml_the_hint_names_the_line_or_the_variable(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, key: str, place: str
) -> None:
    """What gives the value is what has to be changed."""
    monkeypatch.setenv("SHOP_SECRET", "hush-hush")
    path = tmp_path_factory.mktemp("profile") / "profiles.yml"
    output = {"type": "postgres", "host": "db", "user": "ann", "pass": key, "dbname": "shop", "schema": "s"}
    path.write_text(json.dumps({"shop": {"outputs": {"it": output}}}))
    one = ProfileFile(file=str(path), profile="shop", target="it", env={"VAULT": "shop.password"})
    found = explained('FATAL:  password authentication failed for user "ann"', one.conn_id)
    assert found is not None
    assert found.hint == place.format(file=path)
