"""dbt projects of any size for the benchmarks: the same seed gives the same files.

N models over the folders bronze, silver and gold (30, 40 and 30 %); a silver model reads two bronze ones, a gold
model three silver ones; each has a unique and a not_null test. The SQL is trivial and moves 100 rows, so that what is
measured is what surrounds it: every ratio is a worst case for the orchestration.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from goldsmith.dbt.parse import make_manifest
from goldsmith.dbt.project import find_project

LAYERS = ("bronze", "silver", "gold")
PARENTS = {"bronze": 0, "silver": 2, "gold": 3}
TESTS = ("unique", "not_null")
ROWS = 100
TARGET = "prod"
TRIES = "public.tries"
"""The sequence that lets `fails_once` fail: its first value does, and a rollback does not take it back."""

_PROJECT = """\
name: generated
version: "1.0.0"
config-version: 2
profile: generated
flags: {send_anonymous_usage_stats: false}
models:
  generated:
    +materialized: table
"""
_PROFILE = """\
generated:
  target: {target}
  outputs:
    {target}:
      type: postgres
      host: "{{{{ env_var('WAREHOUSE_HOST') }}}}"
      port: "{{{{ env_var('WAREHOUSE_PORT') | int }}}}"
      user: "{{{{ env_var('WAREHOUSE_USER') }}}}"
      password: "{{{{ env_var('WAREHOUSE_PASSWORD') }}}}"
      dbname: "{{{{ env_var('WAREHOUSE_DATABASE') }}}}"
      schema: {schema}
      threads: 4
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One model, and what of it fails."""

    name: str
    layer: str
    parents: tuple[str, ...]
    faults: frozenset[str] = frozenset()
    """`model`, or names of tests."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The model's node and those of its tests, as a fault names them."""
        return ("model", *TESTS)

    def task_id(self, node: str) -> str:
        """Goldsmith's id of the task of a node."""
        return f"{self.layer}.{self.name}.{'run' if node == 'model' else f'{node}_id'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What is generated, before it is written."""

    models: tuple[Model, ...]
    fails_once: bool = False
    """Whether the first model fails the first time it is built."""

    def unaffected(self) -> set[str]:
        """Goldsmith's task ids of the nodes that neither fail nor wait for one that does."""
        found: set[str] = set()
        whole: dict[str, bool] = {}
        """Whether a model and all its tests are green, so that what reads it can be built."""
        for model in self.models:
            is_built = "model" not in model.faults and all(whole[parent] for parent in model.parents)
            if is_built:
                found |= {model.task_id(node) for node in model.nodes if node not in model.faults}
            whole[model.name] = is_built and not model.faults
        return found


def shape(models: int, *, seed: int, fail_share: float = 0.0) -> Shape:
    """Choose the models of a project, their parents, and which nodes fail.

    Args:
        models: How many; at least 10, so that every layer has what the next one reads.
        seed: Of what is chosen at random.
        fail_share: Share of all nodes (models and tests) that fail.
    """
    if models < 10:
        raise SystemExit("A generated project has at least 10 models.")
    outer = round(models * 0.3)
    return _shape({"bronze": outer, "silver": models - 2 * outer, "gold": outer}, seed, fail_share)


def rooted_shape(*, seed: int) -> Shape:
    """One root with 200 nodes below it (66 models, their tests and its own) that fails the first time."""
    made = _shape({"bronze": 1, "silver": 38, "gold": 28}, seed, 0.0)
    return Shape(models=made.models, fails_once=True)


def _shape(counts: Mapping[str, int], seed: int, fail_share: float) -> Shape:
    choose = random.Random(seed)  # noqa: S311 - made-up data
    made: list[tuple[str, str, tuple[str, ...]]] = []
    before: list[str] = []
    for layer in LAYERS:
        names = [f"{layer}_{number:05d}" for number in range(counts[layer])]
        for name in names:
            parents = choose.sample(before, min(PARENTS[layer], len(before)))
            made.append((name, layer, tuple(sorted(parents))))
        before = names
    nodes = [(name, node) for name, _, _ in made for node in ("model", *TESTS)]
    failing = choose.sample(nodes, max(1, round(fail_share * len(nodes))) if fail_share else 0)
    return Shape(
        models=tuple(
            Model(
                name=name,
                layer=layer,
                parents=parents,
                faults=frozenset(node for of, node in failing if of == name),
            )
            for name, layer, parents in made
        )
    )


def write_project(folder: Path, made: Shape, *, schema: str) -> None:
    """Write a dbt project whose connection comes from the environment: WAREHOUSE_HOST and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dbt_project.yml").write_text(_PROJECT)
    (folder / "profiles.yml").write_text(_PROFILE.format(target=TARGET, schema=schema))
    for layer in LAYERS:
        (folder / "models" / layer).mkdir(parents=True, exist_ok=True)
        (folder / "models" / layer / f"{layer}.yml").write_text("\n".join(_properties(made, layer)) + "\n")
    for number, model in enumerate(made.models):
        file = folder / "models" / model.layer / f"{model.name}.sql"
        file.write_text(_sql(model, fails_once=made.fails_once and number == 0))


def parse_project(folder: Path, env: Mapping[str, str]) -> None:
    """Run `dbt parse`, which leaves the manifest and dbt's own cache in the project."""
    make_manifest(find_project(folder), target=TARGET, env={**os.environ, **env})


def _properties(made: Shape, layer: str) -> Iterator[str]:
    yield "version: 2"
    yield "models:"
    for model in made.models:
        if model.layer == layer:
            yield f"  - name: {model.name}"
            yield f"    description: Model of the {layer} layer, made by benchmarks/projects.py."
            yield f"    columns: [{{name: id, data_tests: [{', '.join(TESTS)}]}}]"


def _sql(model: Model, *, fails_once: bool) -> str:
    amount = " + ".join(f"p{number}.amount" for number in range(len(model.parents))) or "n % 7"
    key = "p0.id" if model.parents else "n"
    if "model" in model.faults:
        amount = f"({amount}) / ({key} - {key})"
    if fails_once:
        amount += f" / (select case when nextval('{TRIES}') = 1 then 0 else 1 end)"
    joined = [f"{{{{ ref('{name}') }}}} as p{number}" for number, name in enumerate(model.parents)]
    source = "\njoin ".join(
        item if number == 0 else f"{item} on p{number}.id = p0.id" for number, item in enumerate(joined)
    )
    lines = [
        f"select {key} as id, {amount} as amount",
        f"from {source or f'generate_series(1, {ROWS}) as n'}",
    ]
    extra = {"unique": "1", "not_null": "null"}
    lines += [f"union all select {extra[test]}, 0" for test in TESTS if test in model.faults]
    return "\n".join(lines) + "\n"
