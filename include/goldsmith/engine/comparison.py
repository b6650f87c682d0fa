"""When the nodes of a layer have to be compared once more."""

from __future__ import annotations

import logging
import time

from goldsmith.engine.access import PAUSES, airflow_api, is_refusal
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

    Raises:
        EnvironmentProblem: Airflow gives no answer.
    """
    _clear(site, run_id, [reconcile_id(build)])


def compare_later(site: Site, run_id: str, build: str) -> None:
    """Clear the comparisons of later builds that have ended, because a node before them was built again.

    A table that is replaced takes the views that read it with it (`drop ... cascade`), also those of later layers.

    Args:
        site: Where the task runs.
        run_id: The run.
        build: Id of the build of the node.

    Raises:
        EnvironmentProblem: Airflow gives no answer.
    """
    builds = [one.task_id for one in site.graph.plan.builds]
    _clear(site, run_id, [reconcile_id(one) for one in builds[builds.index(build) + 1 :]])


def _clear(site: Site, run_id: str, compares: list[str]) -> None:
    states = site.states(run_id, compares) if compares else {}
    ended = [one for one in compares if states.get(one) in _COMPARED]
    if not ended:
        return
    for pause in (*PAUSES, None):
        try:
            with airflow_api() as api:
                # And what is made after it, the report.
                api.clear(site.target.dag_id, run_id, ended, downstream=True)
        except GoldsmithError as error:
            if is_refusal(error):
                log.warning(
                    "%s has ended and could not be cleared, so the run may end green although something is missing. "
                    "Clear it by hand. %s",
                    ", ".join(ended),
                    error,
                )
                return
            if pause is None:
                raise
            log.info("%s could not be cleared now: %s", ", ".join(ended), error.message)
            time.sleep(pause)
        else:
            return
