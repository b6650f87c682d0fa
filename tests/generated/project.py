"""A dbt project as plain values, and its files: trivial SQL over small seeds that PostgreSQL can run.

Every relation has the one column `id`. A model is the union of what it reads, each shifted by its place, so that row
counts differ and no `id` stands in it twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

NAME = "generated"
SIDE = "side"
"""Name of the local dbt package."""
RAW_SCHEMA = "generated_raw"
"""Schema of the tables behind the sources."""
RAW_TABLE = "arrivals"
"""The one table behind all sources; columns `id` and `loaded_at`."""

IN_FILE, IN_YAML, IN_FOLDER = "file", "yaml", "folder"
"""Where a node is disabled."""
RETIRED = "retired"
"""Folder that dbt_project.yml disables."""

_LONGEST_RELATION = 50  # bytes: PostgreSQL's limit of 63, less what dbt adds to names of temporary tables


@dataclass(frozen=True, kw_only=True, slots=True)
class GenericTest:
    """A test in YAML, of the column `id`."""

    kind: str
    """`unique`, `not_null`, `accepted_values` (which fails) or `relationships`."""
    to: str = ""
    """Of `relationships`: what it reads, as Jinja."""
    name: str = ""
    severity: str = "error"
    is_enabled: bool = True

    def entry(self) -> dict[str, Any]:
        """As it stands in YAML."""
        arguments: dict[str, Any] = {}
        if self.kind == "accepted_values":
            arguments = {"values": [-1], "quote": False}
        elif self.kind == "relationships":
            arguments = {"to": self.to, "field": "id"}
        config = {"severity": self.severity} if self.severity != "error" else {}
        if not self.is_enabled:
            config["enabled"] = False  # type: ignore[assignment]
        parts = {"name": self.name, "arguments": arguments, "config": config}
        return {self.kind: {key: value for key, value in parts.items() if value}}


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitTest:
    """A unit test of a model; of every version, where it has versions."""

    name: str
    is_right: bool = True
    only_version: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model, or all versions of one."""

    name: str
    folder: str
    """Below models/; empty for none."""
    package: str = NAME
    materialized: str = "table"
    reads: tuple[str, ...] = ()
    """What it reads, as Jinja: `ref('a')`."""
    calls: str = ""
    """Name of a function."""
    disabled: str = ""
    """`file`, `yaml` or `folder`; empty for an enabled model."""
    versions: int = 0
    group: str = ""
    is_empty: bool = False
    """Whether its file holds no SQL: dbt keeps it and never runs it."""
    is_broken: bool = False
    """Whether it divides by zero."""
    goes_on: bool = False
    """Whether what reads it is built also if it fails."""
    tests: tuple[GenericTest, ...] = ()
    unit_tests: tuple[UnitTest, ...] = ()
    alias: str = ""

    @property
    def jinja(self) -> tuple[str, ...]:
        """How others may read it."""
        start = f"ref('{self.package}', " if self.package != NAME else "ref("
        if not self.versions:
            return (f"{start}'{self.name}')",)
        return (
            f"{start}'{self.name}')",
            *(f"{start}'{self.name}', v={version})" for version in range(1, self.versions + 1)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Seed:
    """A seed with a few rows."""

    name: str
    rows: int = 2
    is_enabled: bool = True
    tests: tuple[GenericTest, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of a source."""

    source: str
    name: str
    has_freshness: bool = False
    is_enabled: bool = True
    tests: tuple[GenericTest, ...] = ()

    @property
    def jinja(self) -> str:
        """How others read it."""
        return f"source('{self.source}', '{self.name}')"


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A snapshot, in YAML or as a block of SQL."""

    name: str
    reads: str
    is_block: bool = False
    is_enabled: bool = True
    tests: tuple[GenericTest, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SingularTest:
    """A test in a file of its own."""

    name: str
    reads: tuple[str, ...] = ()
    folder: str = ""
    severity: str = "error"
    is_right: bool = True
    is_enabled: bool = True
    is_empty: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """A function of dbt's (UDF) that adds one."""

    name: str
    calls: str = ""
    """Name of another function."""
    is_enabled: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """An exposure."""

    name: str
    reads: tuple[str, ...]
    is_enabled: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A dbt project."""

    layers: tuple[str, ...] = ()
    """Folders below models/ that are layers, in their order."""
    are_default: bool = False
    """Whether the spec leaves the layers out."""
    models: tuple[Model, ...] = ()
    seeds: tuple[Seed, ...] = ()
    tables: tuple[Table, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    singular_tests: tuple[SingularTest, ...] = ()
    functions: tuple[Function, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    has_one_yaml: bool = False
    """Whether models/schema.yml describes all models, not one file in each folder."""

    @property
    def used_layers(self) -> set[str]:
        """Layers with a model that dbt does not leave out."""
        real = [one for one in self.models if not one.disabled and not one.is_empty]
        return {one.folder.split("/")[0] for one in real} & set(self.layers)

    @property
    def size(self) -> int:
        """About how many nodes it has."""
        tested: tuple[Model | Seed | Table | Snapshot, ...]
        tested = (*self.models, *self.seeds, *self.tables, *self.snapshots)
        units = sum(len(model.unit_tests) for model in self.models)
        return sum(1 + len(one.tests) for one in tested) + units + len(self.singular_tests)

    def spec(self, **differing: object) -> dict[str, object]:
        """The pipeline's spec."""
        layers: dict[str, object] = {} if self.are_default else {"layers": self._selections()}
        return {"name": NAME, "report": None, "schedule": None, **layers, **differing}

    def _selections(self) -> dict[str, str]:
        return {layer: f"path:models/{layer}/" for layer in self.layers}

    def without_one(self) -> Iterator[tuple[str, Shape]]:
        """Each way to take one node away that no other node reads; with the node's name."""
        read = set(self._read())
        for model in self.models:
            others = tuple(one for one in self.models if one is not model)
            less = replace(self, models=others)
            if not read & set(model.jinja) and less.used_layers == self.used_layers:
                yield model.name, less
            for test in model.tests:
                bare = replace(model, tests=tuple(one for one in model.tests if one is not test))
                changed = tuple(bare if one is model else one for one in self.models)
                yield f"{test.kind} of {model.name}", replace(self, models=changed)
        for singular in self.singular_tests:
            left = tuple(one for one in self.singular_tests if one is not singular)
            yield singular.name, replace(self, singular_tests=left)
        for seed in self.seeds:
            if f"ref('{seed.name}')" not in read:
                yield seed.name, replace(self, seeds=tuple(one for one in self.seeds if one is not seed))

    def _read(self) -> Iterator[str]:
        """All Jinja by which something is read."""
        for model in self.models:
            yield from model.reads
        for snapshot in self.snapshots:
            yield snapshot.reads
        readers: tuple[SingularTest | Exposure, ...] = (*self.singular_tests, *self.exposures)
        for several in readers:
            yield from several.reads
        tested: tuple[Model | Seed | Table | Snapshot, ...]
        tested = (*self.models, *self.seeds, *self.tables, *self.snapshots)
        for one in tested:
            yield from (test.to for test in one.tests if test.to)


def relation_alias(name: str, number: int) -> str:
    """A name for the relation, where a node's own name is none that PostgreSQL and dbt's cache tell apart.

    Args:
        name: The node's.
        number: Of the node in its project.
    """
    is_long = len(name.encode()) > _LONGEST_RELATION
    return f"relation_{number}" if is_long or name != name.lower() else ""
