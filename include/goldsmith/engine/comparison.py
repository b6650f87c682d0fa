"""When the nodes of a layer have to be compared once more."""

from __future__ import annotations

import logging

from goldsmith.engine.access import airflow_api
from goldsmith.engine.site import Site
from goldsmith.errors import GoldsmithError
from goldsmith.plan.stages import reconcile_id

log = logging.getLogger(__name__)

_COMPARED = {"success", "failed"}


def compare_again(site: Site, run_id: str, build: str) -> None:
    """Clear the comparison where it has ended; then a task before it was cleared, and the run is as red as it says.

    Args:
        site: Where the task runs.
        run_id: The run.
        build: Id of the build whose nodes are compared.
    """
    compare = reconcile_id(build)
    if site.states(run_id, [compare]).get(compare) not in _COMPARED:
        return
    try:
        with airflow_api() as api:
            # And what is made after it, the report.
            api.clear(site.target.dag_id, run_id, [compare], downstream=True)
    except GoldsmithError as error:
        log.warning(
            "%s has ended and could not be cleared: where this task fails, the run may end green all the same. Clear "
            "it by hand. %s",
            compare,
            error,
        )
