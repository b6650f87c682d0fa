"""Secrets, and texts without them: what tasks log, keep, return, show and send goes through here.

Airflow masks the password of a connection it was asked for, but of its extra only the whole JSON text; a service that
repeats one header of it, or dbt one key, would be written down. And it masks where a supervisor writes a task's log
file: the scheduler's own output, to which the LocalExecutor copies every line of every task, is masked nowhere. So
values are known here one by one, and lines are masked in the process that says them.
"""

from __future__ import annotations

import base64
import functools
import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, urlsplit

from goldsmith.settings import secret_values

T = TypeVar("T")

SHORTEST = 5
"""Characters of a value from which on it is masked, as in Airflow: shorter ones are parts of too many words."""
_MASK = "***"
_HEADERS = "headers"
_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|credential|api_?key|access_?key|private_?key", re.IGNORECASE
)
_TOKEN = 8  # characters of a part of an address from which on it may be a secret
PLAIN = frozenset(
    {
        *("account", "auth_type", "authenticator", "catalog", "charset", "cluster_id", "connect_timeout"),
        *(
            "database",
            "dataset",
            "driver",
            "endpoint",
            "endpoint_url",
            "host",
            "http_path",
            "keepalives_idle",
        ),
        *(
            "keyfile_path",
            "location",
            "method",
            "options",
            "port",
            "project",
            "redshift",
            "region",
            "region_name",
        ),
        *(
            "role",
            "schema",
            "search_path",
            "sslcert",
            "sslkey",
            "sslmode",
            "sslrootcert",
            "threads",
            "type",
            "user",
        ),
        *("warehouse", "from_email", "disable_ssl", "disable_tls", "ssl_context", "timeout", "retry_limit"),
    }
)
"""Keys of a connection's extra whose values are names, and stand in every relation, query and error."""
_NO_SECRET = frozenset({"airflow", "false", "null", "none", "true"})

# PostgreSQL shows a part of the line in which an error is, and a secret may be cut off at its ends.
_EXCERPT = re.compile(r"(?<=LINE )(\d+: )(\.{3})?([^\n]*?)(\.{3})?$", re.MULTILINE)
_PART = 4  # characters of a secret that is cut off

_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def hide(values: Iterable[str]) -> None:
    """Let none of these values, nor the forms that they have in JSON, in URLs and in single lines, be written.

    Args:
        values: Secrets; shorter ones than `SHORTEST` are not masked.
    """
    global _pattern  # noqa: PLW0603 - of the process, as Airflow's masker is
    found = {form for value in values for form in _forms(str(value))} - _known
    if not found:
        return
    _known.update(found)
    # The longest first: a secret that begins as another one does is masked whole.
    ordered = sorted(_known, key=lambda one: (-len(one), one))
    _pattern = re.compile("|".join(map(re.escape, ordered)))
    if "airflow.sdk.log" in sys.modules:
        from airflow.sdk.log import mask_secret

        mask_secret([*found])
        mask_logs()


def hide_connection(connection: T, *, names: frozenset[str] = PLAIN) -> T:
    """Let no value of a connection's password and extra be written; returns the connection.

    Args:
        connection: An Airflow connection.
        names: Keys of its extra whose values are no secrets, but for headers.
    """
    given: Any = connection
    password = given.password or ""
    hide([password, *_credentials(given.login or "", password), *_values(given.extra_dejson, names)])
    return connection


def hide_address(url: str) -> None:
    """Let nothing of an address be written that gives access: its path, the values of its query, its password.

    Args:
        url: Of a service that takes its secret in the address.
    """
    parts = urlsplit(url)
    query = [value for _, _, value in (one.partition("=") for one in parts.query.split("&"))]
    secrets = [*query, parts.path, parts.password or ""]
    secrets += [part for part in parts.path.split("/") if re.search(r"\d", part)]
    hide(one for one in secrets if len(one) >= _TOKEN)


def hide_environment(env: Mapping[str, str] | None = None) -> None:
    """Let no value of `DBT_ENV_SECRET_*`, nor of what GOLDSMITH_SECRET_ENV names, be written.

    Args:
        env: An environment; default is that of this process.
    """
    hide(secret_values(env))


def hide_variables(variables: Mapping[str, Any]) -> None:
    """Let no value of a dbt variable be written whose name says that it is a secret, such as `api_token`.

    Args:
        variables: Name to value.
    """
    secret = {name: value for name, value in variables.items() if _SECRET_NAME.search(name)}
    hide(_values(secret, frozenset()))
    for value in variables.values():
        if isinstance(value, Mapping):
            hide_variables(value)


def masked(value: T) -> T:
    """A text, or lists and objects with texts, without the secrets that are known in this process.

    Those that Airflow knows are masked too. Keys of objects stay.
    """
    _read_environment()
    done: Any = _without(value)
    if "airflow.sdk.log" in sys.modules:
        from airflow.sdk.log import redact  # type: ignore[attr-defined]  # public, but re-exported silently

        done = redact(done)
    return done  # type: ignore[no-any-return]


def mask_logs() -> None:
    """Mask what this process logs before it leaves it; once is enough.

    Airflow's processors are lists, which its loggers share: what is put before the last, which writes, counts for all.
    """
    import structlog

    chains = [structlog.get_config()["processors"]]
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            if not isinstance(handler.formatter.processors, list):
                handler.formatter.processors = [*handler.formatter.processors]
            chains.append(handler.formatter.processors)
    for chain in chains:
        if _mask_line not in chain:
            chain.insert(len(chain) - 1, _mask_line)


def _mask_line(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value if key.startswith("_") else masked(value) for key, value in line.items()}


@functools.cache
def _read_environment() -> None:
    hide_environment()


def _without(value: Any) -> Any:
    if isinstance(value, str):
        return _EXCERPT.sub(_whole_or_none, _pattern.sub(_MASK, value)) if _pattern else value
    if isinstance(value, Mapping):
        return {key: _without(one) for key, one in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_without(one) for one in value)
    return value


def _whole_or_none(found: re.Match[str]) -> str:
    """An excerpt without the beginning or the end of a secret at its ends."""
    number, before, text, after = found.groups(default="")
    for secret in _known:
        parts = range(len(secret) - 1, _PART - 1, -1)
        if after and (cut := next((n for n in parts if text.endswith(secret[:n])), 0)):
            text = f"{text[:-cut]}{_MASK}"
        if before and (cut := next((n for n in parts if text.startswith(secret[-n:])), 0)):
            text = f"{_MASK}{text[cut:]}"
    return f"{number}{before}{text}{after}"


def _values(extra: Any, names: frozenset[str], key: str = "") -> Iterator[str]:
    """The texts and long numbers in an extra, but for what is a name; those of headers without exception."""
    if isinstance(extra, Mapping):
        for name, value in extra.items():
            yield from _values(value, names, _HEADERS if key == _HEADERS else str(name).lower())
    elif isinstance(extra, list | tuple):
        for value in extra:
            yield from _values(value, names, key)
    elif key not in names and len(text := str(extra)) >= (0 if isinstance(extra, str) else _TOKEN):
        yield text
        if key == _HEADERS:
            yield text.rpartition(" ")[2]  # `Bearer ...`: a service may repeat the token alone


def _credentials(login: str, password: str) -> Iterator[str]:
    """What HTTP and SMTP make of a login."""
    if password:
        for text in (f"{login}:{password}", f"\0{login}\0{password}"):
            yield base64.b64encode(text.encode()).decode()


def _forms(value: str) -> Iterator[str]:
    forms = {value, json.dumps(value)[1:-1], repr(value)[1:-1], quote(value, safe=""), quote_plus(value)}
    if "\n" in value:  # a private key: a log has its lines one by one
        lines = {line.strip() for line in value.splitlines()}
        forms |= {line for line in lines if len(line) >= _TOKEN and not line.startswith("-----")}
    yield from (one for one in forms if len(one) >= SHORTEST and one.lower() not in _NO_SECRET)
