"""The Airflow that Goldsmith needs. pip looks after it, but not with `--no-deps` or where a service brings Airflow."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from goldsmith.errors import EnvironmentProblem

NEEDED = "3.3.1"
"""The lowest version, as in pyproject.toml."""


def need_airflow() -> None:
    """Raise if the Airflow of this environment is too old.

    Raises:
        EnvironmentProblem: It is, or there is none.
    """
    try:
        found = version("apache-airflow-core")
    except PackageNotFoundError:  # of Airflow 3, that is: Airflow 2 was one package
        found = ""
    if _numbers(found) < _numbers(NEEDED):
        raise EnvironmentProblem(
            f"Goldsmith needs Airflow {NEEDED} or later; this environment has {found or 'no Airflow 3'}.",
            hint=f"pip install 'apache-airflow>={NEEDED},<3.4'   (deploy/README.md: what earlier versions lack)",
        )


def _numbers(found: str) -> tuple[int, ...]:
    """Major, minor and patch: `3.3.2+astro.1` is 3.3.2."""
    return tuple(int(number) for number in re.findall(r"\d+", found)[:3])
