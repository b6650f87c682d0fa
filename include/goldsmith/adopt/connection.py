"""An output of a profiles.yml as an Airflow connection, with names of variables in the place of secrets."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ENV_VAR = re.compile(r"\{\{\s*env_var\(\s*['\"](\w+)['\"]\s*(?:,\s*(['\"]?)(.*?)\2\s*)?\).*?\}\}")
_SECRETS = frozenset(
    (
        *("password", "pass", "token", "client_id", "client_secret", "private_key", "private_key_passphrase"),
        *("jwt_token", "keyfile_json", "refresh_token", "access_token"),
    )
)
_ELSEWHERE = ("type", "schema", "threads", "method")
_MARK = "\x00"
_PLAIN = re.compile(r"[\w./:@-]*")
_CONN_FIELDS = ("host", "login", "password", "port", "schema")


def _places(text: str) -> Mapping[str, str]:
    """Key to field: `host`, `user=login`, `role=extra.role`."""
    return {key: place or key for key, _, place in (one.partition("=") for one in text.split())}


_LOGIN = "host user=login password pass=password port"

CONNECTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "postgres": (
        "postgres",
        _places(
            f"{_LOGIN} dbname=schema database=schema keepalives_idle=extra.keepalives_idle sslmode=extra.sslmode"
        ),
    ),
    "redshift": (
        "redshift",
        _places(f"{_LOGIN} dbname=schema database=schema sslmode=extra.sslmode region=extra.region"),
    ),
    "databricks": (
        "databricks",
        _places("host token=password http_path=extra.http_path client_id=login client_secret=password"),
    ),
    "snowflake": (
        "snowflake",
        _places(
            "user=login password schema account=extra.account database=extra.database warehouse=extra.warehouse "
            "role=extra.role authenticator=extra.authenticator query_tag=extra.query_tag "
            "client_session_keep_alive=extra.client_session_keep_alive private_key=extra.private_key_content "
            "private_key_path=extra.private_key_file private_key_passphrase=password"
        ),
    ),
    "bigquery": (
        "google_cloud_platform",
        _places(
            "project=extra.project database=extra.project dataset=extra.dataset schema=extra.dataset "
            "keyfile=extra.key_path keyfile_json=extra.keyfile_dict"
        ),
    ),
    "trino": (
        "trino",
        _places(
            f"{_LOGIN} jwt_token=extra.jwt__token client_certificate=extra.certs__client_cert_path "
            "client_private_key=extra.certs__client_key_path"
        ),
    ),
    "sqlserver": (
        "generic",
        _places(f"server=host username=login {_LOGIN} schema database=extra.database driver=extra.driver"),
    ),
    "duckdb": ("duckdb", _places("path=host")),
}
"""Type of a dbt adapter to that of the Airflow connection, and key of a dbt output to the connection's field.

Source: `airflow_param_mapping` of Cosmos's profile mappings, which make the dbt profile of such a connection.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SameConnection:
    """An Airflow connection that means the same as an output of a profiles.yml."""

    line: str
    """For a shell."""
    variables: tuple[str, ...]
    """The variables that the line takes secrets and other values from."""
    extra: Mapping[str, Any]
    """Keys of the output that no connection has: for `profile: {extra: ...}` in the spec."""

    def is_other_than(self, one: SameConnection) -> bool:
        """Whether both define the same variable with another meaning."""
        return self.line.partition("=")[0] == one.line.partition("=")[0] and self.line != one.line


def same_connection(output: Mapping[str, Any], conn_id: str) -> SameConnection | None:
    """The Airflow connection that means the same as an output; none for an adapter without one.

    Args:
        output: As it is written in profiles.yml, with its `env_var`.
        conn_id: Id of the connection.
    """
    known = CONNECTIONS.get(str(output.get("type")))
    if known is None:
        return None
    kind, places = known
    connection: dict[str, Any] = {"conn_type": kind}
    variables: dict[str, None] = {}
    for key, place in places.items():
        if output.get(key) in (None, ""):
            continue
        value = _value(key, output[key], conn_id, variables)
        if place in _CONN_FIELDS:
            connection.setdefault(place, value)
        else:
            connection.setdefault("extra", {}).setdefault(place.removeprefix("extra."), value)
    line = f"export AIRFLOW_CONN_{conn_id.upper()}={_quoted(json.dumps(connection))}"
    left = {key: value for key, value in output.items() if key not in places and key not in _ELSEWHERE}
    return SameConnection(line=line, variables=tuple(variables), extra=left)


def _value(key: str, value: Any, conn_id: str, variables: dict[str, None]) -> Any:
    """A value, with each variable between marks; a secret that stands in the file gets a variable of its own."""
    if isinstance(value, str) and "{{" in value:

        def named(found: re.Match[str]) -> str:
            variables[found[1]] = None
            default = found[3] if found[3] and _PLAIN.fullmatch(found[3]) else ""
            return f"{_MARK}{found[1]}{':-' if default else ''}{default}{_MARK}"

        return _ENV_VAR.sub(named, value)
    if key in _SECRETS:
        name = f"{conn_id.upper()}_{key.upper()}"
        variables[name] = None
        return f"{_MARK}{name}{_MARK}"
    return value


def _quoted(text: str) -> str:
    """A text in single quotes for a shell, which fills in what stands between marks."""
    plain, *rest = text.replace(json.dumps(_MARK)[1:-1], _MARK).split(_MARK)
    quoted = [shlex.quote(plain)]
    for variable, after in zip(rest[::2], rest[1::2], strict=True):
        quoted += [f'"${{{variable}}}"', shlex.quote(after)]
    return "".join(quoted)
