"""Alerts: those of a run as its last task, and those that cannot wait at the moment of the failure.

The task is a teardown, as the reports before it are, and never fails for a message that could not be sent.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from airflow.sdk import Context

from goldsmith.alerts.deliver import Delivery
from goldsmith.alerts.dispatch import Dispatch
from goldsmith.alerts.event import Event
from goldsmith.alerts.ledger import Ledger
from goldsmith.engine.site import Site
from goldsmith.errors import GoldsmithError
from goldsmith.gates.verdict import Verdict
from goldsmith.notify.deadlines import missed_event, tell_missed
from goldsmith.notify.events import Events, is_blocked_itself, last_greens
from goldsmith.parameters import is_dry
from goldsmith.plan.model import PlannedNode
from goldsmith.report.around import AroundRun
from goldsmith.report.run import facts_of_run
from goldsmith.report.store import ReportStore
from goldsmith.results.record import FAILED
from goldsmith.settings import airflow_url, settings
from goldsmith.spec.alerts import Alerts

log = logging.getLogger(__name__)

_LOOKED_AT = 20  # earlier runs, for when a node was green last


class AlertsTask(AroundRun):
    """Tells what its run did, one message for each route and channel.

    Args:
        alerts: The spec.
        site: Where the run's nodes were built.
    """

    ui_color = "#efe3d8"

    def __init__(self, *, alerts: Alerts, site: Site, **kwargs: Any) -> None:
        super().__init__(site=site, **kwargs)
        self.alerts = alerts

    def execute(self, context: Context) -> dict[str, Any]:
        """Tell it.

        Returns:
            How many messages were sent, and which could not be.
        """
        run = facts_of_run(self.site, context)
        ledger = Ledger(self.site.results_path, self.dag_id)
        events = _events(self.site, self.alerts, context["run_id"])
        happened = self._with_last_green(events.of_run(run), context)
        over = events.recovered(run, self.site.states(context["run_id"]), ledger.incidents())
        done = Dispatch(alerts=self.alerts, ledger=ledger, now=datetime.now(UTC)).tell(happened, over)
        counts = Counter(event.kind for event in (*happened, *over.values()))
        self.log.info("%s", ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())))
        return told(done)

    def _with_last_green(self, events: Sequence[Event], context: Context) -> list[Event]:
        started = context["dag_run"].start_date
        store = ReportStore(self.site.results_path, self.dag_id)
        earlier = store.earlier(context["run_id"], started.isoformat() if started else "")
        names = (
            (summary.run_id, {uid: one[0] for uid, one in summary.nodes.items()})
            for summary in islice(earlier, _LOOKED_AT)
        )
        greens = last_greens([event.subject for event in events if event.is_bad and event.name], names)
        return [replace(event, last_green=greens.get(event.subject, "")) for event in events]


def told(done: Sequence[Delivery]) -> dict[str, Any]:
    """What became of messages, for XCom and the run's summary."""
    return {
        "sent": sum(not one.error for one in done),
        "not_sent": [f"{one.channel}: {one.error}" for one in done if one.error],
    }


@dataclass(frozen=True, kw_only=True)
class AlertNow:
    """Airflow's callback of a task that has failed for good: tells those who want to know at once.

    Args:
        alerts: The spec.
        site: Where the run's nodes were built.
    """

    alerts: Alerts
    site: Site

    def __call__(self, context: Context) -> None:
        """Tell it; whatever goes wrong, the run's last task tells it too."""
        if is_dry(context):
            return
        try:
            self._tell(context)
        except Exception:
            log.exception("The failure could not be told at once; the run's alerts will")

    def _tell(self, context: Context) -> None:
        ledger = Ledger(self.site.results_path, self.site.target.dag_id)
        dispatch = Dispatch(alerts=self.alerts, ledger=ledger, now=datetime.now(UTC))
        dispatch.tell_at_once(self._happened(context))

    def _happened(self, context: Context) -> list[Event]:
        task_id, run_id = context["ti"].task_id, context["run_id"]
        events = _events(self.site, self.alerts, run_id)
        if any(gate.task_id == task_id for gate in self.site.graph.plan.gates):
            values = context["ti"].xcom_pull(task_ids=task_id)
            verdict = Verdict.from_dict(values) if isinstance(values, dict) else None
            if verdict is None:
                return [events.task_failed(task_id)]
            return [events.gate_blocked(verdict)] if is_blocked_itself(verdict) else []
        nodes = self.site.graph.tasks.get(task_id, ())
        lasts = self.site.results.last(run_id, nodes)
        failed = [node for node in nodes if _failed(node, lasts)]
        found = [events.node_event(node, lasts.get(node.unique_id), is_bad=True) for node in failed]
        return found or [events.task_failed(task_id)]


def tell_waiting(site: Site, alerts: Alerts, run_id: str, verdict: Verdict) -> None:
    """Tell that a gate waits for a person; that is worth nothing later, so it is told at once."""
    try:
        event = _events(site, alerts, run_id).gate_waiting(verdict)
        ledger = Ledger(site.results_path, site.target.dag_id)
        Dispatch(alerts=alerts, ledger=ledger, now=datetime.now(UTC)).tell_at_once([event])
    except GoldsmithError as error:
        log.warning("That the gate waits could not be told: %s", error)


def tell_slow(site: Site, alerts: Alerts, run_id: str, node: PlannedNode, said: str) -> None:
    """Tell that a node takes longer than it should, as a deadline that was missed."""
    event = missed_event(
        alerts,
        f"{node.name} within {timedelta(seconds=node.slow_after)}",
        dag_id=site.target.dag_id,
        run_id=run_id,
        name=node.name,
        task_id=node.task_id,
        environment=settings().environment or site.target.target,
        layer=node.layer,
        owner=node.owner,
        group=node.dbt_group,
        tags=node.tags,
        message=said,
    )
    # Beside dbt, whose output and time limits nobody looks after meanwhile.
    threading.Thread(target=tell_missed, args=(alerts, event, site.results_path)).start()


def _events(site: Site, alerts: Alerts, run_id: str) -> Events:
    return Events(
        graph=site.graph,
        alerts=alerts,
        run_id=run_id,
        environment=settings().environment or site.target.target,
        airflow_url=airflow_url(),
    )


def _failed(node: PlannedNode, lasts: Mapping[str, Any]) -> bool:
    last = lasts.get(node.unique_id)
    return last is not None and last.status in FAILED
