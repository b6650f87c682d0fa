"""The DAGs of Cosmos that run a dbt project, and what its pipeline takes from them."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldsmith.adopt.cosmos_dags import CosmosDag
from goldsmith.adopt.cosmos_spec import SpecValues, spec_values
from goldsmith.dbt.project import DbtProject


@dataclass(frozen=True, kw_only=True, slots=True)
class FromCosmos:
    """What a pipeline takes from the DAGs of Cosmos that run its project."""

    dags: tuple[CosmosDag, ...] = ()
    values: SpecValues = field(default_factory=SpecValues)

    @property
    def keys(self) -> dict[str, Any]:
        """Of the spec."""
        return self.values.keys

    def keys_but(self, others: Collection[str]) -> dict[str, Any]:
        """The keys without some."""
        return {key: value for key, value in self.keys.items() if key not in others}

    @property
    def mapping(self) -> str:
        """Name of the profile mapping; empty if there is none, or several."""
        names = {str(one.settings.get("profile_mapping", "")) for one in self.dags}
        return names.pop() if len(names) == 1 else ""

    def fit(self, project: DbtProject, root: Path) -> None:
        """Leave out what does not hold on this machine, and say so.

        Args:
            project: The dbt project.
            root: The repository.
        """
        dbt = self.keys.get("dbt")
        if dbt is not None and not (root / dbt).is_file() and shutil.which(dbt) is None:
            del self.keys["dbt"]
            self.values.notes["ExecutionConfig.dbt_executable_path"] = (
                f"{dbt} is not on this machine; if Airflow's image has it, set GOLDSMITH_DBT there."
            )
        names = {str(one.settings.get("ProfileConfig.profile_name", project.profile)) for one in self.dags}
        if "file" in self.keys.get("profile", {}) and names != {project.profile}:
            self.values.notes["ProfileConfig.profile_name"] = (
                f"The profile is the one that dbt_project.yml names: {project.profile}."
            )

    def shown(self, root: Path) -> list[str]:
        """Where the DAGs are: `shop_daily (DbtDag, dags/shop.py:12)`."""
        return [f"{one.name} ({one.kind}, {_place(one.file, root)}:{one.line})" for one in self.dags]


def from_cosmos(dags: Sequence[CosmosDag], project: Path, root: Path, *, is_only: bool) -> FromCosmos:
    """What follows for the pipeline of a dbt project from DAGs of Cosmos.

    Args:
        dags: All that were found.
        project: Folder of the project.
        root: The repository.
        is_only: Whether it is the only project there: then a DAG whose project is computed runs it.
    """
    those = tuple(dag for dag in dags if dag.runs(project, root) or (is_only and dag.project is None))
    if not those:
        return FromCosmos()
    return FromCosmos(dags=those, values=_shared([spec_values(dag, root) for dag in those]))


def _shared(several: Sequence[SpecValues]) -> SpecValues:
    """What several DAGs of one project have in common; the rest is for a person to choose."""
    first, *others = several
    keys = {
        key: value
        for key, value in first.keys.items()
        if all(key in one.keys and one.keys[key] == value for one in others)
    }
    found = SpecValues(keys=keys)
    for one in several:
        found.notes |= {name: text for name, text in one.notes.items() if name not in found.notes}
        found.computed |= {name: place for name, place in one.computed.items() if name not in found.computed}
    differ = dict.fromkeys(key for one in several for key in one.keys if key not in keys)
    if differ:
        found.notes[", ".join(differ)] = "The DAGs differ in it; write what the pipeline is to have."
    return found


def _place(file: Path, root: Path) -> str:
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
