"""Airflow's file of local settings: what the scheduler of the stack loads at its start."""

from __future__ import annotations

from pathlib import Path

from goldsmith.errors import EnvironmentProblem

_MADE = "# Made by Goldsmith"
LOCAL_SETTINGS = f"""\
{_MADE}: see goldsmith/tuning/preload.py and goldsmith/tuning/scheduling.py.
import sys

if "scheduler" in sys.argv:
    import goldsmith.tuning.preload
    import goldsmith.tuning.scheduling

    goldsmith.tuning.scheduling.spare_walks()
"""


def write_local_settings(airflow_home: Path) -> None:
    """Write the file; one of the user's own is not replaced.

    Args:
        airflow_home: Airflow's folder.

    Raises:
        EnvironmentProblem: There is one that is not Goldsmith's.
    """
    settings = airflow_home / "config" / "airflow_local_settings.py"
    if settings.is_file() and not settings.read_text(errors="replace").startswith(_MADE):
        raise EnvironmentProblem(
            f"{settings} is not Goldsmith's, and the local stack would overwrite it.",
            hint="Name a folder for the stack alone: export GOLDSMITH_STATE_DIR=/path/to/folder",
        )
    settings.write_text(LOCAL_SETTINGS)
