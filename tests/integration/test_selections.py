"""Selections in a pipeline spec against `dbt ls`, over every method that dbt has."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from goldsmith.dbt.answers import key_of
from goldsmith.dbt.executable import dbt_executable
from goldsmith.dbt.listing import Listing
from goldsmith.dbt.manifest import Manifest, checksum, load, read_document
from goldsmith.dbt.parse import AskedSelection, parsed
from goldsmith.dbt.plain_selection import is_plain
from goldsmith.errors import ManifestError, SelectionError
from goldsmith.pipeline import load_plan, project_of
from goldsmith.pipeline_nodes import select_nodes
from goldsmith.pipelines.refresh import is_fresh, make_pipeline_manifest
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

pytestmark = pytest.mark.integration

_PROFILE = {
    "type": "postgres",
    "host": "x",
    "port": 1,
    "user": "x",
    "password": "x",
    "dbname": "x",
    "schema": "x",
}
PROJECT = {
    "dbt_project.yml": """
name: lab
profile: lab
flags: {send_anonymous_usage_stats: false, indirect_selection: empty}
models:
  lab:
    bronze: {+tags: [nightly], +materialized: view}
    silver: {+materialized: table, +group: finance}
    other: {+enabled: "{{ var('is_wide', false) }}"}
snapshots: {lab: {+tags: slow}}
""",
    "profiles.yml": json.dumps({"lab": {"target": "prod", "outputs": {"prod": _PROFILE, "dev": _PROFILE}}}),
    "selectors.yml": """
selectors:
  - name: chosen
    definition:
      union: [{method: tag, value: nightly, children: true}, {exclude: [{method: test_name, value: unique}]}]
  - name: usual
    default: true
    definition: "tag:nightly"
""",
    "seeds/codes.csv": "code\na\n",
    "models/bronze/orders.sql": "select * from {{ source('raw', 'orders') }} join {{ ref('codes') }} using (code)",
    "models/bronze/customers.sql": "select 1 as id",
    "models/bronze/gone.sql": "{{ config(enabled=false) }} select 1 as id",
    "models/silver/sales_v1.sql": "select * from {{ ref('orders') }}",
    "models/silver/sales_v2.sql": "select * from {{ ref('orders') }} join {{ ref('shared') }} using (id)",
    "models/silver/e_parts.sql": "{{ config(materialized='ephemeral') }} select * from {{ ref('customers') }}",
    "models/gold/marts/revenue.sql": "select * from {{ ref('sales') }} join {{ ref('e_parts') }} using (id)",
    "models/gold/days.sql": "select current_date as date_day",
    "models/other/wide.sql": "select * from {{ ref('orders') }} where '{{ var('region', 'all') }}' <> ''",
    "models/all.yml": """
groups: [{name: finance, owner: {name: o}}]
sources:
  - name: raw
    tables:
      - {name: orders, columns: [{name: id, data_tests: [not_null]}]}
      - {name: other, loaded_at_field: at, config: {freshness: {warn_after: {count: 1, period: day}}}}
models:
  - name: orders
    columns: [{name: id, data_tests: [unique, {relationships: {arguments: {to: ref('customers'), field: id}}}]}]
  - name: customers
    config: {meta: {tier: 1}}
    columns: [{name: id, data_tests: [unique, not_null]}]
  - name: gone
    columns: [{name: id, data_tests: [unique]}]
  - name: sales
    access: public
    latest_version: 1
    versions: [{v: 1}, {v: 2}]
    columns: [{name: id, data_tests: [unique]}]
  - name: days
    time_spine: {standard_granularity_column: date_day}
    columns: [{name: date_day, granularity: day}]
snapshots: [{name: kept, relation: ref('sales'), config: {unique_key: id, strategy: check, check_cols: all}}]
unit_tests: [{name: checked, model: customers, given: [], expect: {rows: [{id: 1}]}}]
exposures: [{name: board, type: dashboard, owner: {name: o}, depends_on: [ref('revenue')]}]
semantic_models:
  - name: money
    model: ref('revenue')
    defaults: {agg_time_dimension: made_on}
    entities: [{name: id, type: primary}]
    dimensions: [{name: made_on, type: time, type_params: {time_granularity: day}}]
    measures: [{name: total, agg: sum, expr: id, create_metric: true}]
saved_queries: [{name: monthly, query_params: {metrics: [total]}}]
""",
    "tests/no_loss.sql": "select 1 from {{ ref('sales', v=1) }} join {{ ref('revenue') }} using (id) where false",
    "tests/reads_nothing.sql": "select 1 where false",
    "packages.yml": "packages: [{local: extra}]\n",
    "dbt_packages/extra/dbt_project.yml": "name: extra\nmodels: {extra: {+tags: [nightly]}}\n",
    "dbt_packages/extra/models/bronze/shared.sql": "select 1 as id",
    "dbt_packages/extra/models/deep/inner.sql": "select * from {{ ref('shared') }}",
    "dbt_packages/extra/models/all.yml": "models: [{name: shared, columns: [{name: id, data_tests: [unique]}]}]",
}
SELECTIONS = (
    *(
        "access:public",
        "access:protected",
        "config.materialized:view",
        "config.meta.tier:1",
        "config.severity:error",
    ),
    *("exposure:board", "+exposure:board", "exposure:*", "file:orders.sql", "file:sales_v1", "file:all.yml"),
    *(
        "fqn:lab.bronze",
        "fqn:extra.bronze",
        "fqn:bronze",
        "fqn:lab.silver.sales",
        "fqn:*",
        "lab.bronze",
        "bronze",
    ),
    *(
        "lab",
        "extra",
        "marts",
        "orders",
        "lab.gold.marts.revenue",
        "sales",
        "sales.v1",
        "sales_v2",
        "no_loss",
    ),
    *(
        "group:finance",
        "group:fin*",
        "+metric:total",
        "metric:*",
        "package:lab",
        "package:extra",
        "package:this",
    ),
    *(
        "package:ext*",
        "package:nobody",
        "path:models/bronze",
        "path:models/bronze/",
        "path:models",
        "path:tests",
    ),
    *(
        "path:models/bronze/orders.sql",
        "path:models/all.yml",
        "path:models/*/*.sql",
        "models/bronze",
        "path:seeds",
    ),
    *(
        "path:./models/gold",
        "path:models/nowhere",
        "path:dbt_packages/extra",
        "path:dbt_packages/extra/models",
    ),
    *("path:models/deep", "path:snapshots", "orders.sql", "resource_type:snapshot", "resource_type:test"),
    *("resource_type:model", "resource_type:unit_test", "resource_type:source", "saved_query:monthly"),
    *("+saved_query:*", "semantic_model:money", "+semantic_model:*", "source:raw", "source:raw.orders+"),
    *(
        "source:lab.raw.other",
        "source:*",
        "tag:nightly",
        "tag:slow",
        "tag:night*",
        "tag:nobody",
        "test_name:unique",
    ),
    *(
        "test_name:relationships",
        "test_type:generic",
        "test_type:singular",
        "test_type:unit",
        "test_type:data",
    ),
    *(
        "unit_test:checked",
        "unit_test:*",
        "version:latest",
        "version:old",
        "version:prerelease",
        "version:none",
    ),
    *(
        "selector:chosen",
        "selector:usual",
        "+revenue",
        "1+revenue",
        "orders+",
        "orders+1",
        "@customers",
        "+orders+",
    ),
    *("orders customers", "orders  tag:slow", "tag:nightly path:models/gold", "tag:nightly,package:extra"),
    *(
        "+revenue,tag:nightly",
        "*.bronze.*",
        "ord?rs",
        "[oc]*",
        "*",
        "lab.*",
        "gone",
        "kept",
        "codes",
        "e_parts",
    ),
)
CHOICES: tuple[tuple[Sequence[str], Sequence[str]], ...] = (
    ((), ("package:extra",)),
    ((), ("package:nobody",)),
    ((), ("customers",)),
    ((), ("tag:slow path:models/bronze",)),
    (("package:lab",), ("tag:nightly",)),
    (("tag:nightly", "path:models/gold"), ("package:extra",)),
    (("+revenue",), ("orders", "test_type:singular")),
    (("selector:chosen",), ("package:extra",)),
    (("resource_type:model",), ()),
    (("tag:nightly",), ("no_loss",)),
)
FRESH = ("+revenue,tag:nightly", "selector:chosen", "path:models/bronze")
"""Asked of plain `dbt ls` too, each in a process of its own."""


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A dbt project with every kind of node, and pipelines that select of it."""

    here: Settings
    specs: Sequence[Pipeline]
    manifest: Manifest
    listed: Mapping[str, frozenset[str]]
    """Key of a selection to the nodes of the manifest that `dbt ls` lists for it."""

    def plan(self, spec: Pipeline) -> set[str]:
        """What a pipeline holds."""
        plan = load_plan(spec, project_of(spec, self.here), self.here)
        return {node.unique_id for node in plan.nodes} | {*plan.not_run}


def _written(name: str, **keys: object) -> Pipeline:
    return Pipeline.parse({"name": name, "exclude": [], **keys})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, settings_for: Callable[[Path], Settings]) -> Lab:
    """The project, its manifest and what dbt answered, made once."""
    here = settings_for(tmp_path_factory.mktemp("selections"))
    for name, text in PROJECT.items():
        file = here.dbt_project_dir / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    specs = [
        _written(f"choice{number}", select=[*select], exclude=[*exclude], layers={})
        for number, (select, exclude) in enumerate(CHOICES)
    ]
    path = make_pipeline_manifest(specs[0], here, print, others=specs)
    manifest = load(path, here.dbt_project_dir)
    asked = [
        AskedSelection(select=(*select,), exclude=(*exclude,), what="a selection")
        for select, exclude in (*(([one], ()) for one in SELECTIONS), *CHOICES, (("fqn:*", "source:*"), ()))
    ]
    with parsed(project_of(specs[0], here), target="prod", questions=asked) as made:
        listed = {
            key_of(one.select, one.exclude): found.unique_ids & set(manifest.nodes)
            for one, found in zip(asked, made.listings, strict=True)
            if isinstance(found, Listing)
        }
    return Lab(here=here, specs=specs, manifest=manifest, listed=listed)


def test_every_selection_means_what_dbt_lists(lab: Lab) -> None:
    """Also those that are read from the manifest alone; what matches nothing is named in one error."""
    expected = {one: lab.listed[key_of([one], [])] for one in SELECTIONS}
    assert 15 < sum(is_plain([one], lab.here.dbt_project_dir) for one in SELECTIONS) < len(SELECTIONS) / 2
    layers = {f"l{number}": (one,) for number, one in enumerate(SELECTIONS)}
    empty = [one for one in SELECTIONS if not expected[one]]
    assert {"gone", "path:dbt_packages/extra", "path:models/deep", "tag:nobody", "saved_query:monthly"} <= {
        *empty
    }
    with pytest.raises(SelectionError) as caught:
        select_nodes(_written("layers", layers=layers), lab.manifest, lab.listed)
    said = [part.partition(" (of ")[0] for part in caught.value.message.split("; ")]
    assert [one.split("select ")[1] for one in said] == empty
    there = {name: one for name, one in layers.items() if one[0] not in empty}
    found = select_nodes(_written("layers", layers=there), lab.manifest, lab.listed).layer_matches
    assert {one[0]: found[name] for name, one in there.items()} == {
        one: ids for one, ids in expected.items() if ids
    }


def test_what_was_asked_in_one_process_is_what_dbt_lists(lab: Lab) -> None:
    """Each of these `dbt ls` parses the project itself."""
    command = [dbt_executable(), "--quiet", "ls", "--output", "json", "--output-keys", "unique_id"]
    command += ["--indirect-selection", "eager", "--target-path", str(lab.here.root / "fresh")]
    for one in FRESH:
        done = subprocess.run(
            [*command, "--select", one],
            cwd=lab.here.dbt_project_dir,
            capture_output=True,
            text=True,
            check=True,
        )
        found = {json.loads(line)["unique_id"] for line in done.stdout.splitlines() if line.startswith("{")}
        assert found & set(lab.manifest.nodes) == lab.listed[key_of([one], [])], one


def test_every_choice_of_a_pipeline_is_what_dbt_lists(lab: Lab) -> None:
    """Select and exclude together: what is excluded takes its tests along, as in dbt."""
    found = {(spec.select, spec.exclude): lab.plan(spec) for spec in lab.specs}
    assert found == {choice: lab.listed[key_of(*choice)] for choice in found}


def test_without_select_and_exclude_all_nodes_are_planned(lab: Lab) -> None:
    """dbt's default selector is for who types no selection; a pipeline names it if it is meant."""
    spec = _written("everything", layers={})
    assert lab.plan(spec) == lab.listed[key_of(("fqn:*", "source:*"), ())] == set(lab.manifest.nodes)


def test_vars_are_in_a_manifest_of_the_pipelines_own(lab: Lab) -> None:
    """Neither pipeline overwrites the other's, and changed vars are an error until dbt has parsed the project again."""
    wide = _written("wide", vars={"is_wide": True, "region": "emea"}, layers={"all": "lab"})
    with pytest.raises(ManifestError, match=r"No manifest at .*/target/goldsmith/wide/manifest\.json"):
        load_plan(wide, project_of(wide, lab.here), lab.here)
    plain = _written("plain", layers={})
    before = checksum(read_document(lab.manifest.path, lab.here.dbt_project_dir))
    make_pipeline_manifest(wide, lab.here, print)
    assert "model.lab.wide" in lab.plan(wide)
    assert checksum(read_document(lab.manifest.path, lab.here.dbt_project_dir)) == before
    assert is_fresh(wide, lab.here)
    assert is_fresh(plain, lab.here)
    assert "model.lab.wide" not in lab.plan(plain)
    other = wide.model_copy(update={"vars": {"is_wide": True, "region": "apac"}})
    assert not is_fresh(other, lab.here)
    with pytest.raises(SelectionError, match="was not made with the `vars` of wide") as caught:
        load_plan(other, project_of(other, lab.here), lab.here)
    assert caught.value.hint == "goldsmith manifest wide"


def test_a_method_that_dbt_does_not_know_is_an_error(lab: Lab) -> None:
    """dbt itself only logs it, and matches nothing. Other pipelines of the project go on."""
    odd = _written("odd", exclude=["tagg:nightly"], layers={})
    with pytest.raises(SelectionError, match="tagg"):
        make_pipeline_manifest(odd, lab.here, print)
    make_pipeline_manifest(lab.specs[0], lab.here, print, others=(*lab.specs, odd))
    assert not is_fresh(odd, lab.here)


def test_a_manifest_is_where_dbt_puts_it(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where processes without DBT_TARGET_PATH look, they do not find an old one."""
    spec = _written("placed", select=["lab"], layers={})
    here_too = lab.here.dbt_project_dir / "target" / "manifest.json"
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "elsewhere"))
    assert not is_fresh(spec, lab.here)
    make_pipeline_manifest(spec, lab.here, print)
    planned = load_plan(spec, project_of(spec, lab.here), lab.here)
    made = tmp_path / "elsewhere" / "manifest.json"
    assert project_of(spec, lab.here).manifest_path == made
    assert made.read_bytes() == here_too.read_bytes()
    monkeypatch.delenv("DBT_TARGET_PATH")
    assert load_plan(spec, project_of(spec, lab.here), lab.here) == planned
