"""Let dbt connect with the profile that tasks will have: `python -m goldsmith.dbt.debug ANSWER`.

A process of its own, because Airflow reads its connections from the environment it was started with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from goldsmith.dbt.project import dbt_executable
from goldsmith.errors import GoldsmithError


def connect(
    *, project_dir: Path, profile: str, target: str, connection: str, profile_args: dict[str, Any]
) -> str:
    """Run `dbt debug --connection`; the empty text says it works, any other why it does not.

    Args:
        project_dir: The dbt project.
        profile: Name of its profile.
        target: dbt target.
        connection: Airflow connection id.
        profile_args: What the profile holds beside the connection.
    """
    from goldsmith.dbt.profile import ConnectionProfile

    config = ConnectionProfile(
        profile_name=profile, target_name=target, conn_id=connection, profile_args=profile_args
    )
    command = [dbt_executable(), "--no-use-colors", "--no-version-check", "--log-level-file", "none", "debug"]
    with config.ensure_profile() as (path, secrets):
        done = subprocess.run(
            [
                *command,
                "--connection",
                "--profiles-dir",
                path.parent,
                "--profile",
                profile,
                "--target",
                target,
            ],
            cwd=project_dir,
            env={**os.environ, **secrets, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stdout.splitlines() if "rror" in line or line.startswith("  ")]
    return "\n".join(lines[-6:]) or done.stderr[-500:]


def main() -> None:
    """Read the arguments of `connect` from stdin; write its text to the file named on the command line."""
    asked = json.load(sys.stdin)
    try:
        text = connect(**{**asked, "project_dir": Path(asked["project_dir"])})
    except GoldsmithError as error:
        text = str(error)
    except Exception as error:  # noqa: BLE001 - Airflow has many ways to say that a connection is not defined
        text = f"{type(error).__name__}: {error}"
    Path(sys.argv[1]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
