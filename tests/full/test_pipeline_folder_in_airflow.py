"""A folder of specs in a running Airflow: one breaks while its run is on its way, and another was never right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.integration.test_cli import goldsmith
from tests.integration.waiting import until

from goldsmith.client.parsed import wait_until_parsed
from goldsmith.dag.broken import TASK
from goldsmith.rest.client import RestClient
from goldsmith.stack.stack import Stack

pytestmark = [pytest.mark.full, pytest.mark.integration]

LOADER = '"""Airflow DAGs."""\nfrom goldsmith import build_dags\nglobals().update(build_dags("pipelines"))\n'


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The project that `goldsmith init` makes in an empty folder, its spec loaded with the folder; Airflow is up."""
    root = tmp_path / "new"
    root.mkdir()
    assert goldsmith("init", "--yes", cwd=root).returncode == 0
    (root / "dags" / "shop.py").write_text(LOADER)
    (root / "dags" / "pipelines" / "typo.yml").write_text("layerz: {}\n")
    made = Stack(root=root)
    try:
        made.up()
        yield made
    finally:
        made.destroy()


def states(api: RestClient, run_id: str) -> Counter[str | None]:
    """Of the tasks of a run of `shop`: state to number."""
    return Counter(task.state for task in api.task_instances("shop", run_id))


def test_a_spec_that_breaks_makes_its_run_red_and_once_it_is_right_the_run_goes_on(stack: Stack) -> None:
    """Nothing is green that was not built, and no other pipeline is concerned."""
    spec = stack.dags_dir / "pipelines" / "shop.yml"
    right = spec.read_text()
    with stack.api() as api:
        for name in ("shop", "typo"):
            wait_until_parsed(api, name, stack.dags_dir, changed=None)
            api.unpause(name)
        wrong = api.trigger("typo")
        run = api.trigger("shop")
        assert until(lambda: states(api, run.run_id)["running"] > 0, seconds=60)
        spec.write_text(f"{right}layerz: 1\n")
        assert until(lambda: api.run("shop", run.run_id).state == "failed", seconds=120)
        assert until(lambda: api.run("typo", wrong.run_id).state == "failed", seconds=60)
        assert [
            task.task_id for task in api.task_instances("shop", run.run_id) if task.state == "failed"
        ] == [TASK]
        spec.write_text(right)
        wait_until_parsed(api, "shop", stack.dags_dir, changed=datetime.now(UTC))
        api.clear("shop", run.run_id, [TASK])
        assert until(lambda: api.run("shop", run.run_id).state in ("success", "failed"), seconds=180)
        assert api.run("shop", run.run_id).state == "success"
        assert states(api, run.run_id)["success"] > 20
