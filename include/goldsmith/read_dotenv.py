"""The `.env` that dbt reads."""

from __future__ import annotations

from pathlib import Path


def dotenv_of(project_dir: Path) -> dict[str, str]:
    """The variables in the `.env` that dbt reads in a project: the first one from its folder upwards.

    Args:
        project_dir: The dbt project.
    """
    places = (folder / ".env" for folder in (project_dir, *project_dir.parents))
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return {}
    try:
        # With which dbt reads it; a dbt that does not have it reads no such file.
        from dotenv import dotenv_values

        return {name: value for name, value in dotenv_values(file).items() if value is not None}
    except (ImportError, OSError, UnicodeDecodeError):
        return {}
