"""`goldsmith alerts explain` and `goldsmith alerts test`, on the sample."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from tests.unit.alerts.receiver import Receiver

from goldsmith.client.alerts import explained, send_sample
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import ConfigurationError, EnvironmentProblem
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

pytestmark = pytest.mark.integration

QUIET = {"after": "20:00", "until": "07:00", "timezone": "Europe/Berlin"}
SPEC = Pipeline.parse(
    {
        "name": "shop",
        "alerts": {
            "channels": {
                "pager": {"type": "pagerduty", "connection": "pager"},
                "hook": {"type": "webhook", "connection": "hook"},
            },
            "routes": [
                {"name": "on call", "channels": "pager", "layers": "gold", "urgent": True},
                {"name": "night", "channels": ["hook", "pager"], "quiet": QUIET},
                {"name": "again", "channels": "hook"},
                {"name": "finance", "channels": "log", "owners": "finance"},
            ],
        },
    }
)


@pytest.fixture
def here(sample: DbtProject, tmp_path: Path, settings_for: Callable[[Path], Settings]) -> Settings:
    """Settings of a process on a laptop."""
    import dataclasses

    return dataclasses.replace(settings_for(tmp_path), dbt_project_dir=sample.path)


def shown(here: Settings, node: str) -> str:
    """What is printed of a node."""
    text = io.StringIO()
    Console(file=text, width=250).print(explained(SPEC, here, node))
    return text.getvalue()


def test_who_hears_of_a_node_is_explained_with_when_and_why_not(here: Settings) -> None:
    """Each channel once, quiet hours too; a test that only warns is no failure."""
    model = shown(here, "fct_transactions")
    lines = {line.split("  ")[0]: " ".join(line.split()) for line in model.splitlines()}
    assert lines["on call"].endswith("yes, at once")
    assert "but not from 20:00 to 07:00 Europe/Berlin" in lines["night"]
    assert lines["again"].endswith("no: hook hears of it by night")
    assert "its owner would have to be finance" in lines["finance"]
    assert "model_failed" in model
    with pytest.raises(ConfigurationError, match="has no node 'fct_transaction'"):
        explained(SPEC, here, "fct_transaction")


def test_a_sample_goes_to_each_channel_of_a_route(here: Settings) -> None:
    """What it opens in PagerDuty it closes; one that is not taken is told."""
    with Receiver() as service:
        connections = {
            f"AIRFLOW_CONN_{name}": json.dumps(
                {"conn_type": "http", "host": f"{service.url}/{name}", "password": "key"}
            )
            for name in ("PAGER", "HOOK")
        }
        env = {**os.environ, **connections}
        assert list(send_sample(SPEC, here, "night", env)) == ["hook: sent", "pager: sent"]
        assert [one.path for one in service.requests] == ["/HOOK", *["/PAGER/v2/enqueue"] * 2]
        assert [one.body["event_action"] for one in service.requests[1:]] == ["trigger", "resolve"]
        service.answers = [400]
        told = send_sample(SPEC, here, "again", env)
        assert "answers 400" in next(told)
        with pytest.raises(EnvironmentProblem, match="did not take the sample"):
            next(told)
    with pytest.raises(ConfigurationError, match="no route 'nigt'"):
        list(send_sample(SPEC, here, "nigt", {}))
