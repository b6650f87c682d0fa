"""The state folder of the local stack: what is where, the secrets, and what is remembered."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from goldsmith.errors import EnvironmentProblem


@dataclass(frozen=True, kw_only=True, slots=True)
class Secrets:
    """Generated once for each state folder; not in `repr`."""

    jwt: str = field(repr=False)
    fernet: str = field(repr=False)
    api: str = field(repr=False)
    password: str = field(repr=False)
    """Of the user `admin`."""
    tasks_password: str = field(repr=False)
    """Of the user that tasks log in as."""

    @classmethod
    def completed(cls, known: Mapping[str, str]) -> Secrets:
        """Keep what is known, and make what is not: all of it at first, later what an upgrade added."""
        return cls(**{name: known.get(name) or make() for name, make in _MAKERS.items()})


_MAKERS: dict[str, Callable[[], str]] = {
    "jwt": lambda: secrets.token_urlsafe(64),
    "fernet": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "api": lambda: secrets.token_urlsafe(48),
    "password": lambda: secrets.token_urlsafe(12),
    "tasks_password": lambda: secrets.token_urlsafe(24),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StateDir:
    """The folder that everything of the local stack lives in."""

    path: Path

    @property
    def airflow_home(self) -> Path:
        """AIRFLOW_HOME of the components."""
        return self.path / "airflow"

    @property
    def postgres_home(self) -> Path:
        """The embedded PostgreSQL's folder."""
        return self.path / "postgres"

    @property
    def logs(self) -> Path:
        """The logs of the components; those of tasks are in `tasks` below it."""
        return self.path / "logs"

    @property
    def results(self) -> Path:
        """What dbt said about each node."""
        return self.path / "results"

    @property
    def passwords_file(self) -> Path:
        """Airflow's own file of users and passwords."""
        return self.airflow_home / "passwords.json"

    def create(self) -> None:
        """Make the folders, for this user only.

        Raises:
            EnvironmentProblem: They cannot be made, or another user's stack is here.
        """
        with self._usable():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.check_owner()
        with self._usable():
            for folder in (self.airflow_home, self.airflow_home / "config", self.logs, self.results):
                folder.mkdir(mode=0o700, exist_ok=True)

    def check_owner(self) -> None:
        """Refuse another user's folder; one that is not there yet is nobody's.

        Raises:
            EnvironmentProblem: Another user's stack is here, or that cannot be told.
        """
        with self._usable():
            try:
                owner = self.path.stat().st_uid
            except FileNotFoundError:
                return
        if owner != os.geteuid():
            raise EnvironmentProblem(
                f"The state folder {self.path} belongs to user {owner}, this is user {os.geteuid()}.",
                hint="Work as that user, or name another folder: export GOLDSMITH_STATE_DIR=/path/to/folder",
            )

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EnvironmentProblem(
                f"The state folder {self.path} cannot be used: {error}.",
                hint="Name another: export GOLDSMITH_STATE_DIR=/path/to/folder",
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second `up` or `down` on this folder waiting."""
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def secrets(self) -> Secrets:
        """The secrets, made at the first call, and the folder with them.

        Raises:
            EnvironmentProblem: The folder cannot be made, another user's stack is here, or other secrets.
        """
        self.create()
        file = self.path / "secrets.json"
        # A lock of its own: `up` holds the other one when it asks for these.
        with (self.path / "secrets.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = json.loads(file.read_text()) if file.is_file() else {}
            if known and not any(name in known for name in _MAKERS):
                raise EnvironmentProblem(
                    f"{file} is not Goldsmith's, and the local stack would overwrite it.",
                    hint="Name a folder for the stack alone: export GOLDSMITH_STATE_DIR=/path/to/folder",
                )
            found = Secrets.completed(known)
            if known != (complete := {**known, **asdict(found)}):
                write_private(file, complete)
        return found

    def remember(self, **facts: Any) -> None:
        """Keep facts for the next start."""
        write_private(self.path / "remembered.json", {**self.remembered(), **facts})

    def remembered(self) -> dict[str, Any]:
        """What `remember` kept."""
        return read_json(self.path / "remembered.json")


def write_private(file: Path, content: Mapping[str, Any]) -> None:
    """Write JSON that only this user may read; readers see the old or the new content, never a part."""
    staging = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream, indent=1)
    staging.replace(file)


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object; what is missing or broken counts as empty."""
    try:
        found = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
