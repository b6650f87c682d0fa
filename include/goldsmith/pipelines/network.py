"""The pipelines of a dags folder with their plans, to see which waits for which."""

from __future__ import annotations

from collections.abc import Iterable

from goldsmith.errors import GoldsmithError
from goldsmith.pipeline import each_manifest_once, load_plan, project_of
from goldsmith.plan.network import Member, Network
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline


def network_of(specs: Iterable[Pipeline], here: Settings) -> tuple[Network, dict[str, GoldsmithError]]:
    """Plan all pipelines.

    Args:
        specs: The pipelines.
        here: Settings of this process.

    Returns:
        The network, and name to error of the pipelines that cannot be planned.
    """
    failed: dict[str, GoldsmithError] = {}
    members = []
    with each_manifest_once():
        for spec in specs:
            plan = None
            try:
                plan = load_plan(spec, project_of(spec, here), here)
            except GoldsmithError as error:
                failed[spec.name] = error
            members.append(Member(spec=spec, plan=plan))
    return Network(members), failed
