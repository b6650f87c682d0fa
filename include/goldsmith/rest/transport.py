"""Requests to Airflow's REST API: login, retries, and errors a person understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from goldsmith.errors import ApiRefused, ConfigurationError, EnvironmentProblem

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_USERS_MISTAKES = {400, 422}
Query = str | int | Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """How to get in: a user and a password, or a ready bearer token; not in `repr`."""

    user: str = "admin"
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    hint: str = "Set GOLDSMITH_AIRFLOW_USER and GOLDSMITH_AIRFLOW_PASSWORD, or GOLDSMITH_AIRFLOW_TOKEN."
    """What to do where Airflow refuses it."""


class _Answer(dict[str, Any]):
    """A JSON object of an answer; that it lacks something says that no Airflow answered."""

    def __init__(self, found: dict[str, Any], sender: str) -> None:
        super().__init__(found)
        self.sender = sender

    def __missing__(self, key: str) -> Any:
        raise _no_airflow(self.sender, f"its answer has no {key!r}")


class Transport:
    """The connection to one Airflow.

    Args:
        base_url: Where Airflow's web page is, such as http://localhost:8080.
        login: None for what needs no login: `health` and `version`.
        timeout: Seconds until an unanswered request counts as failed.

    Raises:
        ConfigurationError: `base_url` is no URL.
    """

    def __init__(self, base_url: str, login: Login | None = None, *, timeout: float = 30.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._login = login
        self._token = login.token if login else ""
        self.user = login.user if login else ""
        # A proxy for the world outside must not stand between us and this machine; and the certificates of the
        # world, which plain HTTP to this machine has no use for, cost 40 ms of CPU to load.
        scheme, host = _scheme_and_host(self.base_url)
        is_local = host in _LOOPBACK
        self._http = httpx.Client(
            base_url=self.base_url,
            timeout=timeout,
            trust_env=not is_local,
            verify=not (is_local and scheme == "http"),
            follow_redirects=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Query] | None = None,
        body: Mapping[str, Any] | None = None,
        needs_login: bool = True,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Send a request and return the JSON object of the answer.

        Args:
            method: Of HTTP; only GET is sent again where no answer comes.
            path: Below the base URL.
            query: Parameters of the URL.
            body: Content, sent as JSON.
            needs_login: Whether it is sent with a token.
            timeout: Seconds to wait for this answer; None: as long as for any other.

        Raises:
            EnvironmentProblem: No answer.
            ApiRefused: An answer that is an error.
            ConfigurationError: Airflow found fault with the content of the request.
        """
        attempts = _attempts(method)

        def request() -> httpx.Response:
            headers = {"Accept": "application/json"}
            if needs_login:
                headers["Authorization"] = f"Bearer {self._bearer()}"
            waits = httpx.USE_CLIENT_DEFAULT if timeout is None else timeout
            return self._http.request(method, path, params=query, json=body, headers=headers, timeout=waits)

        try:
            response = attempts(request)
            if response.status_code == httpx.codes.UNAUTHORIZED and self._login and self._login.password:
                self._token = ""  # expired, or Airflow was started anew with other secrets
                response = attempts(request)
        except httpx.HTTPError as error:
            raise EnvironmentProblem(
                f"Airflow at {self.base_url} does not answer: {str(error) or type(error).__name__}.",
                hint="Is it running? See: goldsmith status",
            ) from error
        return self._content(response)

    def _bearer(self) -> str:
        if not self._token and self._login is not None:
            secret = {"username": self._login.user, "password": self._login.password}
            response = self._http.post("/auth/token", json=secret)
            self._token = str(self._content(response)["access_token"])
        return self._token

    def _content(self, response: httpx.Response) -> dict[str, Any]:
        """The answer's JSON, or the error it stands for."""
        if response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise ApiRefused(
                f"Airflow at {self.base_url} refused the login or the request: {_detail(response)}",
                hint=(self._login or Login()).hint,
                status=response.status_code,
                detail=_detail(response),
            )
        if response.status_code in _USERS_MISTAKES:
            raise ConfigurationError(f"Airflow did not accept the request: {_detail(response)}")
        if response.is_error:
            raise ApiRefused(
                f"Airflow at {self.base_url} answered {response.status_code} to {response.request.method}"
                f" {response.request.url.path}: {_detail(response)}",
                status=response.status_code,
                detail=_detail(response),
            )
        if response.content in (b"", b"null"):
            return {}
        try:
            found = response.json(object_hook=lambda found: _Answer(found, self.base_url))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise _no_airflow(self.base_url, "its answer is no JSON object")
        return found


def _attempts(method: str) -> Retrying:
    """Only what does no harm twice is sent again."""
    return Retrying(
        retry=retry_if_exception_type(httpx.TransportError),
        stop=stop_after_attempt(4 if method == "GET" else 1),
        wait=wait_exponential(multiplier=0.25, max=2),
        reraise=True,
    )


def quoted(part: str) -> str:
    """A name as one part of a path."""
    return quote(part, safe="")


def run_path(dag_id: str, run_id: str) -> str:
    """The path of a run."""
    return f"/api/v2/dags/{quoted(dag_id)}/dagRuns/{quoted(run_id)}"


def _scheme_and_host(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        scheme, host, _ = httpx.URL(url).scheme, parts.hostname or "", parts.port
    except (ValueError, httpx.InvalidURL) as error:
        raise _no_url(url, f" ({error})") from error
    if scheme not in {"http", "https"} or not host:
        raise _no_url(url)
    return scheme, host


def _no_url(url: str, why: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"{url!r} is no URL of an Airflow{why}.",
        hint="It looks like this: export GOLDSMITH_AIRFLOW_URL=https://airflow.example.com",
    )


def _no_airflow(url: str, why: str) -> ApiRefused:
    return ApiRefused(
        f"{url} does not speak Airflow's REST API v2: {why}.", hint="Is this an Airflow 3? Check the URL."
    )


def _detail(response: httpx.Response) -> str:
    try:
        found = response.json()
    except ValueError:
        return response.text[:500]
    return str(found.get("detail", found) if isinstance(found, dict) else found)[:2000]
