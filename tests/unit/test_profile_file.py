"""A profiles.yml as the connection: what is read of it, and what is said if it does not do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.sdk import Connection
from airflow.sdk.log import redact  # type: ignore[attr-defined]

from goldsmith.errors import ConfigurationError, SpecError
from goldsmith.profile_file import ProfileFile, airflow_connection, named
from goldsmith.spec.pipeline import Pipeline

TEXT = """\
config: {send_anonymous_usage_stats: false}
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: /data/shop.duckdb}
    prod:
      type: postgres
      host: "{{ env_var('SHOP_HOST') }}"
      port: "{{ env_var('SHOP_PORT', '5433') | as_number }}"
      user: "{{ env_var('SHOP_USER', 'ann') }}"
      pass: "{{ env_var('SHOP_SECRET') }}"
      dbname: shop
      schema: analytics
      sslmode: require
      search_path: extensions, public
      role: dbt
    lake: {type: databricks, host: dbc.example.com, token: one, http_path: /sql/1, catalog: main, schema: s}
    odd: {type: postgres, host: "{{ nonsense"}
    plain: text
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file."""
    path = tmp_path / "profiles.yml"
    path.write_text(TEXT)
    return path


def output(file: Path, target: str = "prod", profile: str = "shop", **env: str) -> ProfileFile:
    """One of its outputs."""
    return ProfileFile(file=str(file), profile=profile, target=target, env=env)


def test_an_output_is_a_connection(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With variables of the environment and of Airflow connections, and their defaults."""
    monkeypatch.setenv("SHOP_HOST", "db.example.com")
    vault = {"conn_type": "generic", "password": "hush", "extra": {"account": "one"}}
    monkeypatch.setenv("AIRFLOW_CONN_VAULT", json.dumps(vault))
    found = airflow_connection(output(file, SHOP_SECRET="vault.password").conn_id)
    assert isinstance(found, Connection)
    assert (found.conn_type, found.host, found.port) == ("postgres", "db.example.com", 5433)
    assert (found.login, found.password, found.schema) == ("ann", "hush", "shop")
    assert found.extra_dejson == {
        "sslmode": "require",
        "options": r"-c search_path=extensions,\ public -c role=dbt",
    }
    assert output(file, SHOP_SECRET="vault.account").read().given == {"SHOP_SECRET": "one"}


@pytest.mark.parametrize(
    ("target", "kind", "host", "extra"),
    [
        ("dev", "duckdb", "/data/shop.duckdb", {}),
        ("lake", "databricks", "dbc.example.com", {"http_path": "/sql/1"}),
    ],
)
def test_outputs_of_other_warehouses(
    file: Path, target: str, kind: str, host: str, extra: dict[str, str]
) -> None:
    """Each has its own words for where it is."""
    found = output(file, target).connection()
    assert (found.conn_type, found.host, found.extra_dejson) == (kind, host, extra)


def test_its_id_holds_names_and_no_secret(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it may stand in a rendered template or a log."""
    monkeypatch.setenv("SHOP_SECRET", "hush")
    one = output(file, SHOP_SECRET="vault.password")
    assert "hush" not in one.conn_id
    assert ProfileFile.of(one.conn_id) == one
    assert ProfileFile.of("warehouse") is None
    assert named(one.conn_id) == f"profile shop, target prod in {file}"
    assert named("warehouse") == "Airflow connection 'warehouse'"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "host in the profile shop, target prod in .* needs the environment variable SHOP_HOST"),
        ({"target": "gone"}, r"has no target 'gone' with a `type` \(targets: dev, prod, lake, odd, plain\)"),
        ({"target": "plain"}, "has no target 'plain' with a `type`"),
        ({"profile": "gone"}, r"has no profile 'gone' with outputs \(profiles: shop\)"),
        ({"target": "odd"}, "host in the profile shop, target odd in .* cannot be rendered"),
    ],
)
def test_what_does_not_do_is_named(file: Path, values: dict[str, str], said: str) -> None:
    """The file, the key and the variable; with what there is."""
    with pytest.raises(ConfigurationError, match=said):
        output(file, **values).output()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, or no YAML."""
    path = tmp_path / "profiles.yml"
    with pytest.raises(ConfigurationError, match=r"cannot be read: .*No such file"):
        output(path).output()
    path.write_text("shop:\n  password: @hush")
    with pytest.raises(ConfigurationError, match=r"cannot be read: .* in line 2") as raised:
        output(path).output()
    assert "hush" not in str(raised.value)


def test_a_connection_without_the_field_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty password is none."""
    monkeypatch.setenv("AIRFLOW_CONN_VAULT", json.dumps({"conn_type": "generic"}))
    with pytest.raises(ConfigurationError, match="The Airflow connection 'vault' has no password"):
        output(file, SHOP_SECRET="vault.password").read()


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"file": "profiles.yml", "schema": "x"}, "schema stands in profiles.yml"),
        ({"file": "profiles.yml", "threads": 2}, "threads stands in profiles.yml"),
        ({"env": {"A": "b.c"}}, "write which: file: profiles.yml"),
        ({"file": "profiles.yml", "env": {"A": "b"}}, "'b' for A is no field of an Airflow connection"),
    ],
)
def test_a_spec_says_the_connection_once(profile: dict[str, object], said: str) -> None:
    """What stands in the file does not stand in the spec too."""
    with pytest.raises(SpecError, match=said):
        Pipeline.parse({"name": "shop", "profile": profile})


def test_the_projects_dotenv_and_dbts_variables_fill_it_as_with_dbt(tmp_path: Path) -> None:
    """The environment goes before the file; a variable without a value is named."""
    (tmp_path / ".env").write_text("DUCK_FILE=/data/own.duckdb\n")
    path = tmp_path / "profiles.yml"
    lines = """schema: "{{ var('tenant', 'main') }}", path: "{{ env_var('DUCK_FILE') }}", settings: {a: 1}"""
    path.write_text(
        f"shop: {{outputs: {{dev: {{type: duckdb, {lines}}}, bad: {{type: \"{{{{ var('gone') }}}}\"}}}}}}"
    )
    one = ProfileFile(
        file=str(path), profile="shop", target="dev", project=str(tmp_path), variables={"tenant": "acme"}
    )
    assert one.output() == {
        "type": "duckdb",
        "schema": "acme",
        "path": "/data/own.duckdb",
        "settings": {"a": 1},
    }
    with pytest.raises(ConfigurationError, match="needs the dbt variable gone"):
        output(path, "bad").output()


def test_airflows_logs_hide_its_secrets(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a connection."""
    monkeypatch.setenv("SHOP_HOST", "db.example.com")
    monkeypatch.setenv("SHOP_SECRET", "hush-hush-hush")
    output(file).connection()
    assert "hush-hush" not in str(redact("password is hush-hush-hush"))


def test_with_a_file_the_spec_adds_nothing_to_the_profile() -> None:
    """Nor a schema: the file's holds."""
    spec = Pipeline.parse({"name": "shop", "profile": {"file": "profiles.yml"}})
    assert spec.profile.for_dbt() == {}
    assert Pipeline(name="shop").profile.for_dbt() == {"schema": "analytics", "threads": 4}
