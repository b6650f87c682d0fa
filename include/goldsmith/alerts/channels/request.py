"""What channels share that are spoken to by HTTP: the address from an Airflow connection, and errors that may pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from airflow.sdk import BaseHook, Connection

from goldsmith.errors import ConfigurationError, EnvironmentProblem, MayPass
from goldsmith.masking import hide_address, hide_connection, masked

TIMEOUT = 10.0
"""Seconds for each step of a request."""
_MAY_PASS = (408, 425, 429)
_SECRET = 8  # letters of a part of an address from which on it may be one


def connection_of(conn_id: str) -> Connection:
    """An Airflow connection.

    Raises:
        ConfigurationError: There is none of that name.
    """
    from airflow.sdk.exceptions import AirflowException

    try:
        found = hide_connection(BaseHook.get_connection(conn_id), names=frozenset())
    except AirflowException as error:
        raise ConfigurationError(
            f"Airflow has no connection {conn_id!r}, which a channel of the alerts names.",
            hint=f"airflow connections add {conn_id} ... ; docs/alerts.md says what it holds.",
        ) from error
    for address in (found.host or "", found.password or ""):
        if "://" in address:
            hide_address(address)
    return found


def address_of(connection: Connection, *, default: str = "") -> str:
    """The URL in a connection: its host, which may be a whole URL, with scheme and port of their own fields.

    Raises:
        ConfigurationError: It has no host.
    """
    host = connection.host or default
    if not host:
        raise ConfigurationError(
            f"The Airflow connection {connection.conn_id!r} has no host.", hint="See docs/alerts.md."
        )
    if "://" in host:
        return host.rstrip("/")
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'https'}://{host}{port}"


def secret_address_of(connection: Connection) -> str:
    """The URL in a connection whose password is a part of it: its path, or the whole.

    Raises:
        ConfigurationError: It lacks a part.
    """
    secret = connection.password or ""
    if "://" in secret:
        return secret
    return f"{address_of(connection)}/{secret.lstrip('/')}" if secret else address_of(connection)


def without_secrets(text: str, url: str) -> str:
    """What a service says, without the parts of its address that may be secret, and what is known to be.

    Services repeat what they were asked for.
    """
    parts = httpx.URL(url)
    asked = [url, parts.raw_path.decode(), parts.path, parts.query.decode(), parts.password]
    asked += [*parts.path.split("/"), *parts.params.values()]
    for secret in sorted({part for part in asked if len(part) >= _SECRET}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return masked(text)


def post(url: str, body: Any, *, headers: Mapping[str, str] | None = None) -> None:
    """Send JSON.

    Raises:
        MayPass: Nobody answered, or whoever did is busy or broken.
        EnvironmentProblem: It was refused.
    """
    host = httpx.URL(url).host
    try:
        answer = httpx.post(url, json=body, headers=dict(headers or {}), timeout=TIMEOUT)
    except httpx.HTTPError as error:
        # The error's text may hold the address, and with it a secret.
        raise MayPass(f"{host} does not answer: {type(error).__name__}") from None
    if answer.is_success:
        return
    said = f"{host} answers {answer.status_code}: {without_secrets(answer.text, url)[:300]}"
    raise (MayPass if answer.status_code in _MAY_PASS or answer.status_code >= 500 else EnvironmentProblem)(
        said
    )
