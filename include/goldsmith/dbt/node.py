"""Plain records of what a manifest holds: no dbt, no Cosmos, no Airflow in here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from goldsmith.kinds import EXECUTABLE
from goldsmith.spec.node import NodeMeta


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a node, as the project describes it."""

    name: str
    type: str
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One entry of the manifest that a pipeline may have to do with."""

    unique_id: str
    kind: str
    """dbt's resource type: model, seed, snapshot, function, test, unit_test, source, exposure."""
    name: str
    package: str
    fqn: tuple[str, ...]
    file: str
    """Path of the file that defines it, from the project's root."""
    parents: tuple[str, ...]
    """Unique ids it depends on."""
    tags: tuple[str, ...] = ()
    description: str = ""
    owner: str = ""
    """From `meta.owner`, else the owner of its dbt group; may be empty."""
    group: str = ""
    """Its dbt group; may be empty."""
    materialized: str = ""
    relation: str = ""
    severity: str = ""
    """Tests only: error or warn."""
    attached: str = ""
    """Tests only: unique id of the node whose YAML defines the test."""
    goes_on: bool = False
    """Models only: whether dbt builds what reads it also if it fails (`on_error: continue`)."""
    full_refresh: bool | None = None
    """What the project says of it, whatever the command line says."""
    is_generic: bool = False
    """Tests only: defined in YAML, on a node or a source; others are files of their own, or unit tests."""
    has_own_name: bool = True
    """Whether no other node of its kind and package can have its name: a generic test may share one."""
    is_empty: bool = False
    """Whether its file holds no code: dbt keeps such a node and never runs it."""
    has_freshness: bool = False
    """Sources only."""
    url: str = ""
    """Exposures only: where it is, a dashboard say."""
    table: str = ""
    """Sources only: `schema.table` in the warehouse."""
    columns: tuple[Column, ...] = ()
    operator_kwargs: dict[str, Any] = field(default_factory=dict)
    """`meta.cosmos.operator_kwargs`: pool, queue, retries and so on."""
    meta: NodeMeta = field(default_factory=NodeMeta)
    """`meta.goldsmith`."""

    @property
    def is_ephemeral(self) -> bool:
        """Whether dbt inlines it, so that there is nothing to run."""
        return self.kind == "model" and self.materialized == "ephemeral"

    @property
    def is_executable(self) -> bool:
        """Whether dbt has something to run for it."""
        if self.kind == "source":
            return self.has_freshness
        return self.kind in EXECUTABLE and not self.is_ephemeral and not self.is_empty
