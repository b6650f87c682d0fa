"""An output of a profiles.yml as the connection to the warehouse, for dbt and for everything that Goldsmith asks.

Such a connection has an id, as Airflow's have, so that it can stand wherever one of those stands. The id holds names
only: what `env_var` gives is read when a task runs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from goldsmith.errors import GoldsmithError, UnusableConnection
from goldsmith.masking import hide, hide_connection
from goldsmith.read_dotenv import dotenv_of
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

OPTIONS_VARIABLE = "PGOPTIONS"
"""libpq takes a session's options from here, unless the profile has options of its own."""
_MARK = "profiles.yml "
_ENV_VAR = re.compile(r"env_var\(\s*['\"](\w+)['\"]")
_SECRETS = frozenset({"password", "pass", "token", "client_secret", "private_key", "private_key_passphrase"})
_FIELDS = ("host", "login", "password", "port", "schema")
# dbt's names in the output of a PostgreSQL to libpq's, beside those of the server.
_LIBPQ = ("sslmode", "sslcert", "sslkey", "sslrootcert", "connect_timeout", "keepalives_idle")


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One output of a profiles.yml; secrets are in it, but not in its `repr`."""

    written: Mapping[str, Any]
    """As it is written, with its `env_var`."""
    rendered: Mapping[str, Any] = field(repr=False)
    """As dbt has it."""
    given: Mapping[str, str] = field(repr=False)
    """The environment variables that Airflow connections give."""


@dataclass(frozen=True, kw_only=True)
class ProfileFile:
    """One output of one profile.

    Args:
        file: The profiles.yml.
        profile: Name of the profile.
        target: Name of the output.
        env: Environment variable to `connection.field`: what `env_var` gives of it comes from an Airflow connection. A
            field is host, login, password, port, schema or a key of the connection's extra.
    """

    file: str
    profile: str
    target: str
    env: Mapping[str, str] = field(default_factory=dict)
    project: str = ""
    """Folder of the dbt project, whose `.env` dbt reads too."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """dbt variables, which `var` gives."""

    @property
    def conn_id(self) -> str:
        """The id by which it is known where an Airflow connection could be too."""
        return _MARK + json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of(cls, conn_id: str) -> ProfileFile | None:
        """The file behind an id; none if it is that of an Airflow connection."""
        if not conn_id.startswith(_MARK):
            return None
        return cls(**json.loads(conn_id.removeprefix(_MARK)))

    def __str__(self) -> str:
        return f"profile {self.profile}, target {self.target} in {self.file}"

    def written(self) -> dict[str, Any]:
        """The output as it is written, with its `env_var`.

        Raises:
            UnusableConnection: There is no such file, profile or target, or it is not YAML.
        """
        profiles = self._read()
        profile = profiles.get(self.profile)
        if not isinstance(profile, dict) or not isinstance(profile.get("outputs"), dict):
            names = ", ".join(name for name in profiles if name != "config") or "none"
            raise UnusableConnection(
                f"{self.file} has no profile {self.profile!r} with outputs (profiles: {names}).",
                hint=f"Write it there, or name another: profile: {self.profile} in dbt_project.yml",
            )
        output = profile["outputs"].get(self.target)
        if not isinstance(output, dict) or not isinstance(output.get("type"), str):
            raise UnusableConnection(
                f"The profile {self.profile!r} in {self.file} has no target {self.target!r} with a `type` "
                f"(targets: {', '.join(map(str, profile['outputs']))}).",
                hint="Write it there, or another one into the pipeline spec: target: ...",
            )
        return output

    def read(self) -> Output:
        """The output, with its secrets: the file and the connections are read once.

        Raises:
            UnusableConnection: It cannot be read, a variable is not set, or a connection has no such field.
        """
        written = self.written()
        from_airflow = {name: _field_of(where) for name, where in self.env.items()}
        dotenv = dotenv_of(Path(self.project)) if self.project else {}
        given = {**dotenv, **os.environ, **from_airflow}
        found = {key: self._rendered(key, value, given) for key, value in written.items()}
        hide(str(found[key]) for key in _SECRETS & found.keys())
        return Output(written=written, rendered=found, given=from_airflow)

    def output(self) -> dict[str, Any]:
        """The output as dbt has it, with its secrets.

        Raises:
            UnusableConnection: It cannot be read, a variable is not set, or a connection has no such field.
        """
        return dict(self.read().rendered)

    def connection(self) -> Any:
        """The output as an Airflow connection, which no database holds.

        Raises:
            UnusableConnection: It cannot be read, or a variable is not set.
        """
        from airflow.sdk import Connection

        found = self.output()
        extra = {key: str(found[key]) for key in _LIBPQ if found.get(key) not in (None, "")}
        options = [session_option(key, found[key]) for key in ("search_path", "role") if found.get(key)]
        if options:
            extra["options"] = " ".join(options)
        if found["type"] == "databricks":
            extra = {"http_path": str(found.get("http_path") or "")}
        return Connection(
            conn_id=self.conn_id,
            conn_type=str(found["type"]),
            host=_text(found, "host", "path", "account", "server"),
            login=_text(found, "user", "username"),
            password=_text(found, "password", "pass", "token"),
            port=int(found["port"]) if found.get("port") else None,
            schema=_text(found, "dbname", "database", "catalog"),
            extra=json.dumps(extra),
        )

    def _read(self) -> dict[str, Any]:
        try:
            found = yaml.safe_load(Path(self.file).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            # Not the line that YAML does not understand: it may hold a password.
            mark = getattr(error, "problem_mark", None)
            what = f"{getattr(error, 'problem', '')} in line {mark.line + 1}" if mark else str(error)
            raise UnusableConnection(
                f"{self.file} cannot be read: {what}",
                hint="The pipeline spec names it: profile: {file: ...}, from the repository's root.",
            ) from error
        return found if isinstance(found, dict) else {}

    def _rendered(self, key: str, value: Any, given: Mapping[str, str]) -> Any:
        if not isinstance(value, str) or "{" not in value:
            return value
        from jinja2 import Environment, TemplateError

        def env_var(name: str, default: str | None = None) -> str:
            if name in given:
                return given[name]
            if default is not None:
                return default
            raise UnusableConnection(
                f"{key} in the {self} needs the environment variable {name}, which is not set.",
                hint=f"export {name}=..., or take it from an Airflow connection: "
                f"profile: {{env: {{{name}: connection.password}}}}",
            )

        def var(name: str, default: Any = None) -> Any:
            if name not in self.variables and default is None:
                raise UnusableConnection(
                    f"{key} in the {self} needs the dbt variable {name}, which is not set.",
                    hint=f"Write it into the pipeline spec: vars: {{{name}: ...}}",
                )
            return self.variables.get(name, default)

        # autoescape is for web pages; the filters say only what type YAML should have had.
        rendering = Environment(autoescape=False)  # noqa: S701
        rendering.filters |= dict.fromkeys(
            ("as_text", "as_number", "as_bool", "as_native"), lambda text: text
        )
        try:
            return rendering.from_string(value).render(env_var=env_var, var=var)
        except TemplateError as error:
            raise UnusableConnection(
                f"{key} in the {self} cannot be rendered: {error}", hint="dbt debug says what it is for dbt."
            ) from error


def session_option(name: str, value: object) -> str:
    """A setting of a PostgreSQL session as libpq's options have it: a blank in the value is escaped, as dbt does it."""
    text = str(value).replace("\\", "\\\\").replace(" ", "\\ ")
    return f"-c {name}={text}"


def connection_of(spec: Pipeline, here: Settings, *, profile: str, project_dir: Path) -> str:
    """The id of a pipeline's connection to the warehouse: Airflow's, or that of an output of a profiles.yml.

    Args:
        spec: The pipeline.
        here: Settings of this process.
        profile: Name of the dbt project's profile.
        project_dir: The dbt project.
    """
    if spec.profile.file is None:
        return spec.connection
    return ProfileFile(
        file=str(here.root / spec.profile.file),
        profile=profile,
        target=spec.target or here.target,
        env=spec.profile.env,
        project=str(project_dir),
        variables=spec.vars,
    ).conn_id


def airflow_connection(conn_id: str) -> Any:
    """The Airflow connection of an id, be it Airflow's own or that of a file.

    Raises:
        UnusableConnection: The file cannot be read, or a variable is not set.
    """
    from airflow.sdk import BaseHook

    file = ProfileFile.of(conn_id)
    return file.connection() if file else hide_connection(BaseHook.get_connection(conn_id))


def named(conn_id: str) -> str:
    """A connection as messages name it.

    Example:
        >>> named("warehouse")
        "Airflow connection 'warehouse'"
    """
    return str(ProfileFile.of(conn_id) or f"Airflow connection {conn_id!r}")


def place_of(conn_id: str, field: str, *keys: str) -> str:
    """Where a person corrects a part of a connection.

    Args:
        conn_id: The connection.
        field: Airflow's name of the part.
        keys: dbt's names of it in a profiles.yml.

    Example:
        >>> place_of("warehouse", "password", "password", "pass")
        "`password` of the Airflow connection 'warehouse' (AIRFLOW_CONN_WAREHOUSE, or Admin > Connections)"
    """
    file = ProfileFile.of(conn_id)
    if file is None:
        variable = f"AIRFLOW_CONN_{conn_id.upper()}"
        return f"`{field}` of the Airflow connection {conn_id!r} ({variable}, or Admin > Connections)"
    try:
        written = file.written()
    except GoldsmithError:
        written = {}
    key = next((one for one in keys if one in written), keys[0])
    variable = next(iter(_ENV_VAR.findall(str(written.get(key)))), "")
    if where := file.env.get(variable):
        conn, _, part = where.partition(".")
        return place_of(conn, part)
    return f"the environment variable {variable}" if variable else f"`{key}` of the {file}"


def _text(found: Mapping[str, Any], *names: str) -> str | None:
    return next((str(found[name]) for name in names if found.get(name) not in (None, "")), None)


def _field_of(where: str) -> str:
    from airflow.sdk import BaseHook

    conn_id, _, name = where.partition(".")
    connection = hide_connection(BaseHook.get_connection(conn_id))
    value = getattr(connection, name) if name in _FIELDS else connection.extra_dejson.get(name)
    if value in (None, ""):
        raise UnusableConnection(
            f"The Airflow connection {conn_id!r} has no {name or 'field'}, which the pipeline's profile takes from it.",
            hint=f"Write one of {', '.join(_FIELDS)}, or a key of its extra: airflow connections get {conn_id}",
        )
    return str(value)
