"""The layouts that people have, as seen in public repositories, and what `goldsmith init` makes of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.layouts.build import DUCKDB, POSTGRES, Files, project, sources

CLASSIC = (
    "staging/stg_a",
    "staging/stg_b",
    "intermediate/int_ab < stg_a, stg_b",
    "marts/fct < int_ab, stg_a",
)
_FOREIGN_DAG = '"""Airflow DAG of somebody else."""\nfrom airflow.sdk import DAG\nother = DAG("{name}")\n'
_COSMOS_DAG = """\
from pathlib import Path
from cosmos import DbtDag, ProfileConfig, ProjectConfig

FOLDER = Path("/usr/local/airflow/include/dbt/shop")
shop = DbtDag(
    dag_id="shop",
    project_config=ProjectConfig(FOLDER),
    profile_config=ProfileConfig("shop", "dev", profiles_yml_filepath=FOLDER / "profiles.yml"),
    schedule="0 5 * * *",
    tags=["shop"],
    default_args={"retries": 1},
)
"""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A repository."""

    files: Files
    layers: Mapping[str, object]
    """Of the spec that is proposed."""
    project: str = "."
    """What the spec says."""
    name: str = "shop"
    """Of the pipeline."""
    gate: str = "layer"
    arguments: tuple[str, ...] = ()
    """Of `goldsmith init`."""
    against: frozenset[tuple[str, str]] = frozenset()
    """Nodes that are named because their folders wait for each other: the one that is read, and the one that reads."""
    outside: tuple[str, ...] = ()
    """Nodes in no layer."""
    of_cosmos: Mapping[str, object] = field(default_factory=dict)
    """Keys of the spec that come from a DAG of Cosmos."""


def _folders(*names: str, top: str = "models") -> dict[str, object]:
    return {name.rpartition("/")[2].lower(): f"path:{top}/{name}/" for name in names}


LAYOUTS: dict[str, Layout] = {
    # A dbt repository; no Airflow, no profiles.yml.
    "dbt repository": Layout(
        files={**project(*CLASSIC, name="dbt_shop"), ".gitignore": "target/\n"},
        layers=_folders("staging", "intermediate", "marts"),
    ),
    # Astro, with a project as the pages of Cosmos have it.
    "Astro project": Layout(
        files={
            **project(*CLASSIC, place="include/dbt/shop", profiles=POSTGRES),
            ".astro/config.yaml": "project:\n  name: acme\n",
            "Dockerfile": "FROM astrocrpublic.azurecr.io/runtime:3.3-1\n",
            "requirements.txt": "apache-airflow-providers-slack",
            "dags/shop.py": _COSMOS_DAG,
        },
        project="include/dbt/shop",
        of_cosmos={
            "schedule": "0 5 * * *",
            "target": "dev",
            "profile": {"file": "include/dbt/shop/profiles.yml"},
            "tags": ["shop"],
            "retries": {"models": 1},
        },
        name="shop_goldsmith",
        layers=_folders("staging", "intermediate", "marts"),
    ),
    # Airflow, whose DAG files and dbt project share a folder.
    "project in dags": Layout(
        files={
            **project(*CLASSIC, place="dags/dbt/shop", profiles=DUCKDB),
            "requirements.txt": "apache-airflow==3.3.2\n",
            "dags/other.py": _FOREIGN_DAG.format(name="other"),
            "dags/.airflowignore": "drafts/",
        },
        project="dags/dbt/shop",
        layers=_folders("staging", "intermediate", "marts"),
    ),
    # Several projects, one of which is chosen; a package's own tests are no project of the user's.
    "several projects": Layout(
        files={
            **project(*CLASSIC, place="transform"),
            **project("a", place="warehouse", name="other"),
            **project("b", place="transform/dbt_packages/some", name="some"),
            "transform/packages.yml": "packages:\n  - local: ../some\n",
            **project("c", place="transform/target/old", name="old"),
        },
        arguments=("--project", "transform"),
        project="transform",
        layers=_folders("staging", "intermediate", "marts"),
        outside=("b",),
    ),
    "medallion": Layout(
        files=project(
            *("bronze/crm/b_a < raw_a", "bronze/erp/b_b", "silver/s_ab < b_a, b_b", "gold/g < s_ab"),
            place="data/transform",
            profiles=DUCKDB,
            seeds=("raw_a",),
        ),
        project="data/transform",
        layers=_folders("bronze", "silver", "gold"),
        outside=("raw_a",),
    ),
    # Upper case, other paths.
    "L1 L2 L3": Layout(
        files=project(
            *("L1_sources/a", "L2_core/b < a", "L3_marts/c < b, a"),
            place="warehouse",
            top="sql",
            settings="model-paths: [sql]\ntarget-path: \"{{ env_var('SHOP_TARGET', 'out') }}\"\n",
        ),
        project="warehouse",
        layers=_folders("L1_sources", "L2_core", "L3_marts", top="sql"),
    ),
    "vault": Layout(
        files=project(
            "raw_stage/a", "stage/b < a", "raw_vault/hubs/h < b", "raw_vault/links/l < b, h", "mart/m < h, l"
        ),
        layers=_folders("raw_stage", "stage", "raw_vault", "mart"),
    ),
    # As in the oldest tutorial.
    "loose models": Layout(
        files=project(
            *("staging/stg_a < raw_a", "staging/stg_b", "customers < stg_a, stg_b", "orders < stg_b"),
            seeds=("raw_a",),
        ),
        layers={"staging": "path:models/staging/", "models": ["customers", "orders"]},
        outside=("raw_a",),
    ),
    "folders that wait": Layout(
        files=project(
            *("staging/a", "intermediate/b < a, d", "marts/c < b", "marts/d < a", "reports/e < c"),
        ),
        layers={
            "staging": "path:models/staging/",
            "intermediate_marts": ["path:models/intermediate/", "path:models/marts/"],
            "reports": "path:models/reports/",
        },
        against=frozenset((("b", "c"), ("d", "b"))),
    ),
    "all wait": Layout(
        files=project("staging/a", "staging/c < b", "marts/b < a"),
        layers={},
        gate="node",
        against=frozenset((("a", "b"), ("b", "c"))),
    ),
    "by topic": Layout(
        files=project("finance/a", "marketing/b < a", "finance/c < b"), layers={}, gate="node"
    ),
    "flat": Layout(files=project("a", "b < a", "c < a, b"), layers={}, gate="node"),
    "by tag": Layout(
        files=project("x/a +bronze +daily", "y/b +silver < a", "x/c +gold < b"),
        layers={"bronze": "tag:bronze", "silver": "tag:silver", "gold": "tag:gold"},
    ),
    # The integration tests of a package: its models are the package's.
    "package": Layout(
        files={
            **project(
                "staging/a", "marts/b < a", place="integration_tests/dbt_packages/stripe", name="stripe"
            ),
            **project("check < b", place="integration_tests", profiles=DUCKDB, name="stripe_tests"),
            "integration_tests/packages.yml": "packages:\n  - local: ../stripe\n",
        },
        project="integration_tests",
        name="stripe_tests",
        layers={"staging": "fqn:stripe.staging", "marts": "fqn:stripe.marts", "models": "check"},
    ),
    # dbt knows no edge between a seed and the source that reads its table.
    "seeds that are sources": Layout(
        files={
            **project("staging/a < raw.t", "marts/b < a", seeds=("t",)),
            **sources("analytics", "t"),
        },
        layers={"seeds": "path:seeds/", **_folders("staging", "marts")},
    ),
}
