"""Declare the assets of a DAG, so that Airflow lists them before anything has run."""

from __future__ import annotations

from collections import defaultdict

from airflow.sdk import DAG, Asset

from goldsmith.errors import ConfigurationError
from goldsmith.plan.model import Plan


def declare_assets(dag: DAG, plan: Plan) -> None:
    """Give each task the assets that it may update; when it runs it updates those of them that were built.

    Raises:
        ConfigurationError: Airflow does not take their URIs.
    """
    declared: dict[str, list[Asset]] = defaultdict(list)
    for node in plan.nodes:
        if node.asset:
            declared[node.updated_by].append(_asset(node.asset))
    for task_id, assets in declared.items():
        task = dag.get_task(task_id)
        task.outlets = [*task.outlets, *assets]


def _asset(uri: str) -> Asset:
    try:
        return Asset(uri)
    except ValueError as error:  # each provider has rules for its scheme
        raise ConfigurationError(
            f"Airflow does not take the asset {uri}: {error}.",
            hint="Change asset_namespace in the pipeline spec, for example to postgres://host:5432/database.",
        ) from error
