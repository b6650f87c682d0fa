"""Let dbt connect with the profile that tasks will have."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from goldsmith.dbt.environment import dbt_environment
from goldsmith.dbt.executable import dbt_command
from goldsmith.dbt.parse import variable_arguments
from goldsmith.errors import EnvironmentProblem, GoldsmithError, UnusableConnection
from goldsmith.profile_file import named

_LONGEST = 60.0  # seconds that dbt may take
_SOON = 8.0  # seconds after which dbt is ended if it has said what is wrong: Databricks' connector tries for 15 minutes
_SHOWN = 6  # lines
_MOST = 1_000_000  # bytes of dbt's output


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
    explain: Callable[[str], GoldsmithError | None] = lambda _: None
    """Gives the error that what dbt said is; None if that is not known."""
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _output: IO[bytes] | None = field(default=None, init=False)
    _problem: GoldsmithError | None = field(default=None, init=False)
    _ends: float = field(default=0.0, init=False)

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
        except GoldsmithError as error:
            self._problem = error
            return
        except Exception as error:  # noqa: BLE001 - Airflow has many ways to say that a connection is not defined
            said = str(error).strip() or type(error).__name__
            self._problem = UnusableConnection(
                f"The Airflow connection {self.connection!r} cannot be read: {said}",
                hint=f"Define it: airflow connections add {self.connection} ..., or goldsmith up --warehouse",
            )
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
        self._ends = time.monotonic() + _LONGEST

    def answer(self) -> GoldsmithError | None:
        """Wait for dbt; None says that it connects, an error why it does not."""
        with self._stack:
            if self._process is None:
                return self._problem
            code = self._wait(self._process)
            said = self._said()
        if code == 0:
            return None
        if known := self.explain(said):
            return known
        lines = said.splitlines()
        errors = [line.strip() for line in lines if "rror" in line or line.startswith("  ")]
        why = "\n".join(errors[-_SHOWN:] or lines[-_SHOWN:])
        late = f" within {_LONGEST:.0f} seconds" if code is None else ""
        return EnvironmentProblem(
            f"dbt cannot connect with the {named(self.connection)}{late}: {why}", hint="dbt debug"
        )

    def _wait(self, process: subprocess.Popen[bytes]) -> int | None:
        """dbt's exit code; None if it takes too long, or tries again what it has said to be impossible."""
        while (code := process.poll()) is None:
            left = self._ends - time.monotonic()
            if left < 0 or (left < _LONGEST - _SOON and self.explain(self._said())):
                process.kill()
                process.wait()
                return None
            time.sleep(0.1)
        return code

    def _said(self) -> str:
        output = cast("IO[bytes]", self._output)
        return os.pread(output.fileno(), _MOST, 0).decode(errors="replace")
