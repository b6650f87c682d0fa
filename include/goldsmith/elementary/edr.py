"""Elementary's command `edr report`, run so that it needs no network and writes into a folder of its own alone.

What it takes for that was found by running elementary-data 0.25: it makes a folder where it is started as soon as it is
imported, installs dbt packages into its own place unless its configuration forbids it, and asks the package index for
a newer version. Its configuration file is read from the home folder.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldsmith.dbt.environment import without_options
from goldsmith.engine.dbt.workspace import keep_parsed, take_parsed
from goldsmith.errors import ConfigurationError, EnvironmentProblem
from goldsmith.spec.report import Elementary

PROFILE = "elementary"
"""The dbt profile that edr looks for."""

_CONFIG = """\
anonymous_usage_tracking: false
disable_elementary_version_check: true
disable_elementary_logo_print: true
run_dbt_deps_if_needed: false
"""
_PAGE, _DETAILS = "report.html", "elementary_output.json"
_VERSION = re.compile(r"Elementary version ([0-9]+(?:[.][0-9]+)*)")
_SAID = 25  # lines of its output
_MIB = 1024 * 1024
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What edr made."""

    page: bytes
    """The report, as HTML."""
    tests: dict[str, int]
    """How many tests fared how in the time it looks at."""


def edr_executable(named: str) -> str:
    """Path of the `edr` command.

    Args:
        named: What the setting GOLDSMITH_EDR names; empty for edr of this environment.

    Raises:
        ConfigurationError: It is not there.
    """
    beside = Path(sys.executable).parent / "edr"
    found = shutil.which(named) if named else str(beside) if beside.is_file() else shutil.which("edr")
    if not found:
        looked = named or f"{beside}, and in the PATH"
        raise ConfigurationError(
            f"Elementary's command `edr` is not there: looked for {looked}.",
            hint="pip install elementary-data, into this environment or into another that GOLDSMITH_EDR names.",
        )
    return found


def edr_version(executable: str) -> str:
    """Version of the command, as it says it; empty where it does not."""
    with tempfile.TemporaryDirectory(prefix="goldsmith-") as work:
        _configure(Path(work))
        done = subprocess.run(
            [executable, "--version"],
            cwd=work,
            env={**os.environ, "HOME": work},
            capture_output=True,
            text=True,
            check=False,
        )
    match = _VERSION.search(done.stdout)
    return match[1] if match else ""


def _configure(home: Path) -> None:
    (home / ".edr").mkdir(exist_ok=True)
    (home / ".edr" / "config.yml").write_text(_CONFIG, encoding="utf-8")


@dataclass(kw_only=True)
class Edr:
    """One run of `edr report`.

    Args:
        executable: The command.
        work: An empty folder, removed by who made it.
        profiles_dir: The folder of a profiles.yml that has the profile `elementary`.
        packages_dir: The project's dbt packages, Elementary's among them.
        env: Secrets of the profile, as environment variables.
        target: dbt target; shown as the environment.
        name: Shown as the project.
        wanted: What the report is to hold.
        cache_dir: Where what edr's own dbt project parsed to is kept from one report to the next.
    """

    executable: str
    work: Path
    profiles_dir: Path
    packages_dir: Path
    env: Mapping[str, str]
    target: str
    name: str
    wanted: Elementary
    cache_dir: Path
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def run(self) -> Made:
        """Make the report.

        Raises:
            EnvironmentProblem: edr failed; with what it said.
        """
        _configure(self.work)
        take_parsed(self._internal, cache_dir=self.cache_dir, parsed_dir=None)
        self._process = subprocess.Popen(
            self._command(),
            cwd=self.work,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=self._limit,  # noqa: PLW1509 - no other thread of the task holds a lock here
        )
        try:
            said, _ = self._process.communicate()
        except BaseException:
            self.stop()
            raise
        # It writes a page without data before it fails, so the page alone says nothing.
        if self._process.returncode != 0:
            raise EnvironmentProblem(
                f"edr report ended with code {self._process.returncode}:\n{_last_lines(said)}",
                hint="Its own words are above. Memory and time are limited by `report.elementary` in the spec.",
            )
        keep_parsed(self._internal, cache_dir=self.cache_dir)
        return self._made(said)

    @property
    def _internal(self) -> Path:
        """The target folder of edr's own dbt project."""
        return self.work / "internal"

    def stop(self) -> None:
        """End it with all it has started; for a signal handler too."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def _command(self) -> list[str]:
        options: dict[str, Any] = {
            "profiles-dir": self.profiles_dir,
            "profile-target": self.target,
            "target-path": self.work / "target",
            "file-path": self.work / _PAGE,
            "open-browser": "false",
            "env": self.target,
            "project-name": self.name,
            "days-back": self.wanted.days_back,
            "executions-limit": self.wanted.executions_limit,
            "disable-samples": str(not self.wanted.samples).lower(),
        }
        given = [part for key, value in options.items() for part in (f"--{key}", str(value))]
        return [self.executable, "report", *given, "--quiet-logs"]

    def _environment(self) -> dict[str, str]:
        base = without_options()
        own = {
            "HOME": str(self.work),
            "DBT_PACKAGES_FOLDER": str(self.packages_dir),
            "EDR_INTERNAL_TARGET_PATH": str(self._internal),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        return {**base, **self.env, **own}

    def _limit(self) -> None:
        """Bound its memory, and end it with this process."""
        if sys.platform == "linux":
            limit = self.wanted.memory_mb * _MIB
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def _made(self, said: str) -> Made:
        try:
            page = (self.work / _PAGE).read_bytes()
            details = json.loads((self.work / "target" / _DETAILS).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EnvironmentProblem(
                f"edr report ended well and left no report: {error}\n{_last_lines(said)}",
                hint="Is elementary-data 0.25 installed?",
            ) from error
        return Made(page=page, tests=_counts(details.get("test_results_totals")))


def _counts(totals: Any) -> dict[str, int]:
    """How many tests fared how, over all models; edr says it for each."""
    found: dict[str, int] = {}
    for one in totals.values() if isinstance(totals, dict) else ():
        for how, number in one.items() if isinstance(one, dict) else ():
            if isinstance(number, int):
                found[how] = found.get(how, 0) + number
    return found


def _last_lines(said: str) -> str:
    return "\n".join([line for line in said.splitlines() if line.strip()][-_SAID:])
