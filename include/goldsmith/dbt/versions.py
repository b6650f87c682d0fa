"""The dbt versions that Goldsmith runs, what the older of them lacks, and which one an executable is.

dbt is started for this only if its files do not say it: that takes seconds, and it asks the internet for its newest
version.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from goldsmith.dbt.executable import python_of
from goldsmith.errors import ConfigurationError

OLDEST, NEWEST = (1, 11), (1, 12)
SUPPORTED = "1.11 and 1.12"
_INSTALL = 'pip install "dbt-core>=1.11,<1.13"'
_HINT = f"Name the `dbt` of an environment that has dbt-core: {_INSTALL}"

_VERSION = re.compile(r"(\d+)\.(\d+)\S*")
_INSTALLED = re.compile(r"^\s*-\s*installed:\s*(\d+\.\d+\S*)", re.MULTILINE)
_OTHER = re.compile(r"^dbt(?:-\w+)?\s+v?(\d+\.\d+\S*)", re.MULTILINE)
"""dbt 2, which is another program; dbt Cloud's is none of both."""
_DISTRIBUTION = re.compile(r"dbt_core-([^-]+)\.dist-info")
_PATIENCE = 60.0  # seconds: without internet dbt waits for an answer
_SHOWN = 200  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """Something of dbt that not every supported version has."""

    since: tuple[int, int]
    """The first version that has it."""
    text: str
    """What it is."""
    without: str
    """What an older version does."""


ON_ERROR = Feature(
    since=(1, 12),
    text="`on_error: continue` of a model",
    without="dbt ignores it, and skips what reads a model that failed",
)
FEATURES = (ON_ERROR,)
"""What Goldsmith, or a project, may use and an older supported version lacks."""


def has(version: str, feature: Feature) -> bool:
    """Whether a dbt version has a feature.

    Args:
        version: As dbt writes it: `1.12.5`, `1.12.0-b1`.
        feature: The feature.
    """
    return _line(version) >= feature.since


def is_supported(version: str) -> bool:
    """Whether Goldsmith runs a dbt version."""
    return OLDEST <= _line(version) <= NEWEST


def is_same_line(one: str, other: str) -> bool:
    """Whether two dbt versions differ in their last number alone."""
    return _line(one) == _line(other)


def usable_dbt(executable: str) -> str:
    """The version of a dbt executable that Goldsmith can run.

    Args:
        executable: Its path.

    Raises:
        ConfigurationError: It is older or newer than what Goldsmith runs, it is no dbt, or it does not start.
    """
    # A program around dbt may run another one than that beside it.
    version = (_installed_beside(Path(executable)) if python_of(executable) else "") or _said(executable)
    if is_supported(version):
        return version
    if _line(version) < OLDEST:
        raise ConfigurationError(
            f"{executable} is dbt {version}; Goldsmith runs dbt {SUPPORTED}.",
            hint=f"In the environment of that dbt: {_INSTALL}",
        )
    raise ConfigurationError(
        f"{executable} is dbt {version}, which this Goldsmith does not know; it runs dbt {SUPPORTED}.",
        hint=f"Upgrade Goldsmith, or in the environment of that dbt: {_INSTALL}",
    )


def _line(version: str) -> tuple[int, int]:
    """Major and minor number; 0, 0 for a text that is no version."""
    found = _VERSION.match(version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _installed_beside(executable: Path) -> str:
    """The version of dbt-core in the environment that an executable belongs to; empty if its files do not say it."""
    found = set(_versions_in(executable.resolve().parent.parent))
    return found.pop() if len(found) == 1 else ""


def _versions_in(environment: Path) -> Iterator[str]:
    """Versions of dbt-core in an environment: in that of a whole system, there may be several Pythons."""
    for folder in environment.glob("lib/python3*/*-packages"):
        for entry in folder.glob("dbt_core-*.dist-info"):
            if named := _DISTRIBUTION.fullmatch(entry.name):
                yield named[1]


@cache
def _said(executable: str) -> str:
    """The version that an executable says it is.

    Raises:
        ConfigurationError: It does not start, or it is no dbt.
    """
    try:
        done = subprocess.run(
            [executable, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{executable} cannot be started: {error}", hint=_HINT) from error
    said = f"{done.stdout}\n{done.stderr}".strip()
    if found := _INSTALLED.search(said) or _OTHER.search(said):
        return found[1]
    raise ConfigurationError(
        f"{executable} is no dbt-core: `{executable} --version` ended with code {done.returncode} and said: "
        f"{said.partition(chr(10))[0][:_SHOWN] or 'nothing'}",
        hint=_HINT,
    )
