"""Who hears of a node's failure, and a sample to see whether it arrives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from goldsmith.alerts.event import Event
from goldsmith.alerts.routing import reasons_against
from goldsmith.errors import ConfigurationError, EnvironmentProblem
from goldsmith.pipeline import load_plan, project_of
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.settings import Settings
from goldsmith.spec.alerts import (
    EVENTS,
    MODEL_FAILED,
    RECOVERED,
    SOURCE_STALE,
    TEST_FAILED,
    TEST_WARNED,
    Alerts,
    Route,
)
from goldsmith.spec.pipeline import Pipeline
from goldsmith.wording import did_you_mean

_KINDS = {"test": TEST_FAILED, "unit_test": TEST_FAILED, "source": SOURCE_STALE}


def explained(spec: Pipeline, here: Settings, name: str) -> Table:
    """For each route whether a failure of a node takes it, where it leads and why not.

    Args:
        spec: The pipeline.
        here: Settings of this process.
        name: The node's name, unique id or task id.

    Raises:
        ConfigurationError: The pipeline has no alerts, or no such node.
    """
    alerts = _alerts(spec)
    node = _node(load_plan(spec, project_of(spec, here), here), name)
    event = _failure(spec, here, node)
    table = Table(box=None, pad_edge=False, title=f"{event.kind}: {EVENTS[event.kind]}", title_justify="left")
    for head in ("route", "channels", "hears of it"):
        table.add_column(head, overflow="fold")
    heard: dict[str, str] = {}
    for route in alerts.routes:
        reasons = reasons_against(event, route)
        if not reasons:
            reasons = [f"{name} hears of it by {heard[name]}" for name in route.channels if name in heard]
            reasons = reasons if len(reasons) == len(route.channels) else []
            for channel in route.channels:
                heard.setdefault(channel, route.name)
        how = Text(f"no: {'; '.join(reasons)}") if reasons else Text(f"yes, {_when(route)}", style="green")
        table.add_row(route.name, ", ".join(route.channels), how)
    return table


def _when(route: Route) -> str:
    if route.urgent:
        return "at once"
    quiet = route.quiet
    but = (
        f", but not from {quiet.after:%H:%M} to {quiet.until:%H:%M} {quiet.timezone}: then with the first run that "
        "ends after that"
        if quiet
        else ""
    )
    return f"when the run has ended{but}"


def send_sample(spec: Pipeline, here: Settings, name: str, env: Mapping[str, str]) -> Iterator[str]:
    """Send a sample to each channel of a route; a line for each.

    Args:
        spec: The pipeline.
        here: Settings of this process.
        name: Of the route.
        env: Environment in which Airflow runs, with its connections.

    Raises:
        ConfigurationError: The pipeline has no alerts, or no such route.
        EnvironmentProblem: A channel did not take it.
    """
    alerts = _alerts(spec)
    route = next((route for route in alerts.routes if route.name == name), None)
    if route is None:
        known = did_you_mean(name, (route.name for route in alerts.routes))
        raise ConfigurationError(
            f"{spec.name} has no route {name!r}. {known}", hint="See `alerts` in the spec."
        )
    event = _sample(spec, here, route)
    failed = False
    for channel in route.channels:
        error = _sent(alerts, channel, route.name, event, env)
        if not error and channel in alerts.channels and alerts.channels[channel].type == "pagerduty":
            over = replace(event, kind=RECOVERED)  # nobody else would close it
            error = _sent(alerts, channel, route.name, over, env)
        failed = failed or bool(error)
        yield f"{channel}: {error or 'sent'}"
    if failed:
        raise EnvironmentProblem(
            "A channel did not take the sample.", hint="docs/alerts.md says what its connection holds."
        )


def _sent(alerts: Alerts, channel: str, route: str, event: Event, env: Mapping[str, str]) -> str:
    """Send it from a process of its own: Airflow reads its connections from the environment it was started with."""
    asked = {
        "alerts": alerts.model_dump(mode="json"),
        "channel": channel,
        "route": route,
        "event": event.to_dict(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "goldsmith.alerts.sample"],
        input=json.dumps(asked),
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return done.stderr[-1000:].strip() or f"ended with code {done.returncode}"
    return str(json.loads(done.stdout.splitlines()[-1])["error"])


def _alerts(spec: Pipeline) -> Alerts:
    if spec.alerts is None:
        raise ConfigurationError(
            f"{spec.name} has no alerts.", hint="Write `alerts` into its spec: docs/alerts.md."
        )
    return spec.alerts


def _node(plan: Plan, name: str) -> PlannedNode:
    for node in plan.nodes:
        if name in (node.unique_id, node.name, node.task_id):
            return node
    raise ConfigurationError(
        f"{plan.pipeline} has no node {name!r}. {did_you_mean(name, (node.name for node in plan.nodes))}",
        hint="goldsmith plan",
    )


def _failure(spec: Pipeline, here: Settings, node: PlannedNode) -> Event:
    only_warns = node.severity == "warn"
    return Event(
        kind=TEST_WARNED if only_warns else _KINDS.get(node.kind, MODEL_FAILED),
        subject=node.unique_id,
        title=f"{node.kind} {node.name} {'warned' if only_warns else 'failed'}",
        pipeline=spec.name,
        run_id="",
        environment=here.environment or spec.target or here.target,
        name=node.name,
        task_id=node.task_id,
        layer=node.layer,
        owner=node.owner,
        group=node.dbt_group,
        tags=node.tags,
        severity="warn" if only_warns else "error",
    )


def _sample(spec: Pipeline, here: Settings, route: Route) -> Event:
    return Event(
        kind=MODEL_FAILED,
        subject="sample",
        title="a sample, nothing is wrong",
        pipeline=spec.name,
        run_id=f"sample of {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        environment=here.environment or spec.target or here.target,
        name="sample",
        message=f"goldsmith alerts test {route.name}",
    )
