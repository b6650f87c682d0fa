"""The dbt command lines of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.builders import dbt_target

from goldsmith.engine.dbt.workspace import Workspace
from goldsmith.spec.run import RunOptions


@pytest.mark.parametrize(
    ("asked", "expected"),
    [({}, {"region": "emea", "days": 3}), ({"days": 7}, {"region": "emea", "days": 7})],
)
def test_every_command_has_the_pipelines_variables_and_over_them_those_of_the_run(
    tmp_path: Path, asked: dict[str, object], expected: dict[str, object]
) -> None:
    """A command without them would build other nodes than the plan has."""
    target = dbt_target(tmp_path, variables={"region": "emea", "days": 3})
    space = Workspace(
        target=target, folder=tmp_path, profiles_dir=tmp_path, env={}, options=RunOptions(vars=asked)
    )
    commands = [
        space.command(["build"], ["model.shop.orders"]),
        space.command(["source", "freshness"], ["source.shop.raw.orders"]),
        space.plain_command(["ls"]),
        space.plain_command(["docs", "generate"]),
    ]
    for command in commands:
        assert command.count("--vars") == 1
        assert json.loads(command[command.index("--vars") + 1]) == expected
