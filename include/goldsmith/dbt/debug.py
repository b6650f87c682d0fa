"""Let dbt connect with the profile that tasks will have."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from goldsmith.dbt.environment import dbt_environment
from goldsmith.dbt.executable import dbt_command
from goldsmith.dbt.parse import variable_arguments


@dataclass(kw_only=True)
class ConnectionTest:
    """`dbt debug --connection`, which goes on in the background from `start` to `answer`.

    Only where Airflow's connections can be read: in a process that was started with its environment.

    Args:
        project_dir: A dbt project.
        profile: Name of its profile.
        target: dbt target.
        connection: Airflow connection id.
        profile_args: What the profile holds beside the connection.
        variables: dbt variables, which a dbt_project.yml may need to be read at all.
        dbt: The dbt command, see `goldsmith.dbt.executable`.
    """

    project_dir: str
    profile: str
    target: str
    connection: str
    profile_args: dict[str, Any]
    variables: dict[str, Any] = field(default_factory=dict)
    dbt: str = ""
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _output: IO[bytes] | None = field(default=None, init=False)
    _problem: str = field(default="", init=False)

    def start(self) -> None:
        """Make the profile and start dbt."""
        from goldsmith.dbt.profile import profile_config

        config = profile_config(
            profile_name=self.profile,
            target_name=self.target,
            conn_id=self.connection,
            profile_args=self.profile_args,
        )
        try:
            path, secrets = self._stack.enter_context(config.ensure_profile())
        except Exception as error:  # noqa: BLE001 - Airflow has many ways to say that a connection is not defined
            self._problem = str(error).strip() or type(error).__name__
            return
        around = ["--profiles-dir", str(path.parent), "--profile", self.profile, "--target", self.target]
        around += variable_arguments(self.variables)
        # A file and no pipe: nobody reads until the end, and a full pipe would stop dbt.
        self._output = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by the stack
        self._process = subprocess.Popen(
            [*dbt_command(self.dbt), "--log-level-file", "none", "debug", "--connection", *around],
            cwd=Path(self.project_dir),
            env=dbt_environment(Path(self.project_dir), more=secrets, refuses=False),
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def answer(self) -> str:
        """Wait for dbt; the empty text says that it connects, any other why it does not."""
        with self._stack:
            if self._process is None or self._output is None:
                return self._problem
            if self._process.wait() == 0:
                return ""
            self._output.seek(0)
            said = self._output.read().decode(errors="replace").splitlines()
        lines = [line.strip() for line in said if "rror" in line or line.startswith("  ")]
        return "\n".join(lines[-6:]) or "\n".join(said[-3:])
