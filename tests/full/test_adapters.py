"""dbt adapters of warehouses that nobody has here: dbt parses a project with the profile that Goldsmith makes.

Each adapter in an environment of its own, with the dbt that it takes: together they do not go into one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import SHOP
from tests.contract.warehouses import PARSED, WAREHOUSES, Known

from goldsmith.dbt.manifest import load
from goldsmith.dbt.profile_for_commands import profile_from_connection
from goldsmith.dbt.versions import usable_dbt
from goldsmith.pipeline_nodes import select_nodes
from goldsmith.plan.compile import compile_plan
from goldsmith.spec.pipeline import Pipeline

pytestmark = [pytest.mark.full, pytest.mark.integration]
FOREIGN = [one for one in WAREHOUSES if one.parsed == PARSED]


@pytest.mark.parametrize("known", FOREIGN, ids=lambda known: known.kind)
def test_dbt_parses_a_project_with_the_profile_of_a_connection(
    known: Known, installed: Callable[..., str], tmp_path: Path
) -> None:
    """And the manifest gives a plan, whose relations are named as the adapter names them."""
    dbt = installed("dbt-core>=1.11,<1.13", f"dbt-{known.kind}")
    assert usable_dbt(dbt)
    project = tmp_path / "dbt_project"
    shutil.copytree(SHOP, project, ignore=shutil.ignore_patterns("target", "logs"))
    spec = Pipeline.parse({"name": "shop", "profile": {"schema": "analytics", "extra": dict(known.profile)}})
    with profile_from_connection(
        profile="shop",
        target="prod",
        connection="other",
        profile_args=spec.profile.for_dbt(),
        env={**os.environ, "AIRFLOW_CONN_OTHER": json.dumps(known.connection)},
    ) as profile:
        done = subprocess.run(
            [dbt, "--no-version-check", "parse", "--target", "prod", *profile.arguments],
            cwd=project,
            env=dict(profile.env),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = load(project / "target" / "manifest.json", project)
    assert manifest.adapter == known.kind
    plan = compile_plan(spec, select_nodes(spec, manifest))
    [orders] = [node for node in plan.nodes if node.unique_id == "model.shop.orders"]
    assert "analytics_silver" in orders.relation
