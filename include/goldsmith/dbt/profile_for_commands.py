"""A dbt profile made from an Airflow connection, for commands that need no warehouse but a profile all the same.

`dbt parse` and `dbt ls` refuse to work without one. In a project whose profiles.yml has no such profile, or not this
target, they get the one that tasks have. `python -m goldsmith.dbt.profile_for_commands FOLDER` is the process that
makes it: Airflow reads its connections from the environment it was started with.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldsmith.errors import GoldsmithError, ProjectError

_FILE = "profiles.yml"
_SAID = 3  # exit code if the last line of stderr is an error's message and hint


@dataclass(frozen=True, kw_only=True, slots=True)
class DbtProfile:
    """How a dbt command finds its profile."""

    arguments: tuple[str, ...] = ()
    """For the end of the command line."""
    env: Mapping[str, str]
    """Environment of the command, with the connection's secrets."""


@contextmanager
def profile_from_connection(
    *, profile: str, target: str, connection: str, profile_args: Mapping[str, Any], env: Mapping[str, str]
) -> Iterator[DbtProfile]:
    """Make a profile, which is there until the `with` block ends.

    Args:
        profile: Name of the project's profile.
        target: dbt target.
        connection: Airflow connection id.
        profile_args: What the profile holds beside the connection.
        env: Environment in which Airflow runs, with its connections.

    Raises:
        ProjectError: Airflow has no such connection, or dbt cannot use it; carries the reason.
    """
    asked = {
        "profile_name": profile,
        "target_name": target,
        "conn_id": connection,
        "profile_args": profile_args,
    }
    with tempfile.TemporaryDirectory(prefix="goldsmith-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "goldsmith.dbt.profile_for_commands", folder],
            input=json.dumps(asked),
            env=dict(env),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == _SAID:
            message, hint = json.loads(done.stderr.splitlines()[-1])
            raise ProjectError(message, hint=hint)
        if done.returncode != 0:
            # What stands before it are lines of Airflow's log.
            raise ProjectError(done.stderr.strip().splitlines()[-1])
        secrets: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
        yield DbtProfile(arguments=("--profiles-dir", folder, "--profile", profile), env={**env, **secrets})


def main() -> None:
    """Write profiles.yml, without secrets, into a folder, and print the variables that hold them, as one JSON line."""
    asked = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # Airflow and Cosmos log to stdout while they are imported
        from goldsmith.dbt.profile import profile_config

        try:
            with profile_config(**asked).ensure_profile() as (path, secrets):
                shutil.copyfile(path, Path(sys.argv[1]) / _FILE)
        except GoldsmithError as error:
            sys.stderr.write(f"\n{json.dumps([error.message, error.hint])}\n")
            sys.exit(_SAID)
        except Exception as error:  # noqa: BLE001 - Airflow has many ways to say that a connection is not defined
            sys.exit(f"\n{' '.join(str(error).split()) or type(error).__name__}")
    sys.stdout.write(json.dumps(secrets) + "\n")


if __name__ == "__main__":
    main()
