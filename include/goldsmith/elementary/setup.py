"""How the dbt package Elementary is set up in a dbt project, and what is amiss with that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from goldsmith.dbt.packages import packages_dir
from goldsmith.dbt.project import DbtProject
from goldsmith.elementary.edr import edr_version
from goldsmith.errors import ProjectError
from goldsmith.spec.yaml_file import read_yaml

_MUTED = "disable_dbt_artifacts_autoupload"
_TEST_MACRO = "materialization_test_"
_ROWS_MACRO = "postgres__insert_rows"


def package_version(project_dir: Path) -> str:
    """Version of the package that is installed in a dbt project; empty where none is."""
    try:
        file = packages_dir(project_dir) / "elementary" / "dbt_project.yml"
        return str(read_yaml(file.read_text(encoding="utf-8"), is_strict=False)["version"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ProjectError):
        return ""


def setup_faults(project: DbtProject, *, edr: str) -> Iterator[str]:
    """What will cost time, or leave holes in the report; a sentence each.

    Args:
        project: The dbt project.
        edr: Path of Elementary's command.
    """
    installed, command = package_version(project.path), edr_version(edr)
    if installed and command and _minor(installed) != _minor(command):
        yield f"the dbt package is {installed} and edr {command}: take the same minor version of both"
    if not _is_muted(_config(project.path).get("vars") or {}, project.name):
        yield (
            f"dbt_project.yml does not set the variable {_MUTED}: true, so every dbt command writes the whole project "
            "into Elementary's tables, several at once leave rows twice"
        )
    manifest = json.loads(project.manifest_path.read_bytes())
    macros = manifest.get("macros") or {}
    if not _has_test_macro(macros, project.name):
        yield (
            "the project has no `materialization test` of its own that calls elementary.materialize_test, so failing "
            "rows will be missing in the report"
        )
    is_postgres = (manifest.get("metadata") or {}).get("adapter_type") == "postgres"
    if is_postgres and f"macro.{project.name}.{_ROWS_MACRO}" not in macros:
        yield (
            f"the project has no macro {_ROWS_MACRO} of its own, so that each dbt command takes long to write its "
            "results: docs/report.md has one"
        )


def _config(project_dir: Path) -> dict[str, Any]:
    found: Any = read_yaml((project_dir / "dbt_project.yml").read_text(encoding="utf-8"), is_strict=False)
    return found if isinstance(found, dict) else {}


def _is_muted(variables: dict[str, Any], project: str) -> bool:
    """dbt takes a variable from the top, the project's part or the package's part."""
    parts = (variables, *(variables.get(name) or {} for name in (project, "elementary")))
    return any(
        str(part.get(_MUTED, "")).lower() not in ("", "false") for part in parts if isinstance(part, dict)
    )


def _has_test_macro(macros: dict[str, Any], project: str) -> bool:
    return any(
        uid.startswith(f"macro.{project}.{_TEST_MACRO}") and "elementary" in str(macro.get("macro_sql"))
        for uid, macro in macros.items()
    )


def _minor(text: str) -> list[str]:
    return text.split(".")[:2]
