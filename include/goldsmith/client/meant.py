"""Which pipeline a person means without naming it: the one with that node, that layer or that run."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from goldsmith.client.airflow import running_airflow
from goldsmith.client.find_run import LATEST
from goldsmith.errors import ApiRefused
from goldsmith.pipelines.prepare import plan_if_here
from goldsmith.report.store import ReportStore
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.stack.environment import RESULTS
from goldsmith.stack.stack import local_stack

Meant = Callable[[Pipeline], bool]


def has_node(here: Settings, name: str) -> Meant:
    """Whether a pipeline has a node of that name or unique id, or a task of that id."""

    def is_meant(spec: Pipeline) -> bool:
        plan = plan_if_here(spec, here)
        if plan is None:
            return False
        tasks = {gate.task_id for gate in plan.gates} | {build.task_id for build in plan.builds}
        return name in tasks or any(name in (one.name, one.unique_id, one.task_id) for one in plan.nodes)

    return is_meant


def has_layer(layer: str) -> Meant:
    """Whether a pipeline has a layer of that name."""
    return lambda spec: layer in spec.layers


def has_run(here: Settings, run_id: str | None) -> Meant:
    """Whether a pipeline has a run of that id; none is meant without an id."""

    def is_meant(spec: Pipeline) -> bool:
        if run_id in (None, LATEST):
            return False
        with running_airflow(here).api as api:
            try:
                return bool(api.run(spec.name, str(run_id)))
            except ApiRefused as error:
                if error.status == httpx.codes.NOT_FOUND:
                    return False
                raise

    return is_meant


def has_report(here: Settings, run_id: str | None) -> Meant:
    """Whether a pipeline has a report of a run; the local stack's are on this machine."""
    if here.airflow is not None:
        return has_run(here, run_id)
    results = local_stack(here).env()[RESULTS]
    return lambda spec: run_id in dict(ReportStore(results, spec.name).runs())


def either(*ways: Meant) -> Meant:
    """Whether a pipeline is meant in one of several ways."""
    return lambda spec: any(is_meant(spec) for is_meant in ways)
