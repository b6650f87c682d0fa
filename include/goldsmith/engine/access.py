"""The way from a task to Airflow's REST API: the Airflow connection `goldsmith_api`.

| Field | Value |
|---|---|
| type | `http` |
| host | a name with port and schema (`https` for TLS) in their fields, or the full URL of Airflow's web page |
| login, password | a user of Airflow; without login the password is a bearer token |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from goldsmith.errors import ApiRefused, ConfigurationError, GoldsmithError, NoApiAccess
from goldsmith.masking import hide_connection
from goldsmith.rest import Login, RestClient

if TYPE_CHECKING:
    from airflow.sdk import Connection

CONNECTION = "goldsmith_api"
_HINT = (
    f"How to give tasks access, on each kind of installation: docs/api-access.md. Connection: {CONNECTION}."
)
_SCHEMES = ("http", "https")
PAUSES = (1.0, 3.0, 8.0, 15.0)
"""Seconds between requests to an API server that is away."""
_NO_RIGHT = {401, 403, 404}  # 404: Goldsmith is not installed in the API server


def airflow_api() -> RestClient:
    """A client of the REST API of the Airflow that runs this task; no request is sent yet.

    Raises:
        NoApiAccess: The connection `goldsmith_api` is not there or lacks something.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException

    try:
        connection = hide_connection(BaseHook.get_connection(CONNECTION))
    except AirflowException as error:
        # Also where the API server, which is asked for it, is away.
        raise NoApiAccess(f"Airflow has no connection {CONNECTION!r} for this task.", hint=_HINT) from error
    return client_of(connection)


def client_of(connection: Connection) -> RestClient:
    """A client with the address and the credentials of a connection.

    Raises:
        NoApiAccess: The connection lacks something.
    """
    if not connection.password:
        raise NoApiAccess(f"The Airflow connection {CONNECTION!r} has no password.", hint=_HINT)
    login = (
        Login(user=connection.login, password=connection.password, hint=_HINT)
        if connection.login
        else Login(user="", token=connection.password, hint=_HINT)
    )
    url = _url(connection)
    try:
        return RestClient(url, login)
    except ConfigurationError as error:
        raise _no_url(url) from error


def _url(connection: Connection) -> str:
    """The address, from the host alone or from host, port and schema."""
    host = (connection.host or "").rstrip("/")
    if not host:
        raise NoApiAccess(f"The Airflow connection {CONNECTION!r} has no host.", hint=_HINT)
    if "@" in host:  # not repeated here: a password may stand before it
        raise NoApiAccess(
            f"The host of the Airflow connection {CONNECTION!r} holds a login; it has fields of its own.",
            hint=_HINT,
        )
    if "://" not in host:
        named = (connection.schema, connection.conn_type)
        scheme = next((one for one in named if one in _SCHEMES), _SCHEMES[0])
        host = f"{scheme}://{host}"
    try:
        url = httpx.URL(host)
    except httpx.InvalidURL as error:
        raise _no_url(host) from error
    return str(url.copy_with(port=connection.port) if connection.port and not url.port else url)


def _no_url(url: str) -> NoApiAccess:
    return NoApiAccess(
        f"The Airflow connection {CONNECTION!r} leads to {url!r}, which is no URL.", hint=_HINT
    )


def access_for(dag_id: str) -> dict[str, str]:
    """Tell whether a task of a DAG may set the state of others: `status` (`ok` or `warn`), `text` and `hint`.

    The worst is a warning, because a run without access is slower and otherwise the same.
    """
    try:
        with airflow_api() as api:
            return _access_over(api, dag_id)
    except NoApiAccess as error:
        return {"status": "warn", "text": error.message, "hint": error.hint}


def _access_over(api: RestClient, dag_id: str) -> dict[str, str]:
    who = f"The connection {CONNECTION!r}"
    try:
        api.can_mark(dag_id)
    except ApiRefused as error:
        said: dict[int, str] = {
            httpx.codes.UNAUTHORIZED: f"{who} has a login that Airflow at {api.base_url} refuses: {error.detail}",
            httpx.codes.NOT_FOUND: f"Goldsmith is not installed in the API server at {api.base_url}: there is no "
            "route that marks tasks.",
            httpx.codes.FORBIDDEN: f"{who} has a login that may not edit task instances of the DAG {dag_id}.",
        }
        return {"status": "warn", "text": said.get(error.status, error.message), "hint": _HINT}
    except GoldsmithError as error:
        return {"status": "warn", "text": error.message, "hint": _HINT}
    return {"status": "ok", "text": f"tasks may set the state of tasks over {api.base_url}", "hint": ""}


def is_refusal(error: GoldsmithError) -> bool:
    """Whether there is no right to mark, so that nothing was marked."""
    return isinstance(error, NoApiAccess) or getattr(error, "status", 0) in _NO_RIGHT
