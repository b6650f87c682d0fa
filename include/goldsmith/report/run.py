"""What is known of the run that a task belongs to: from Airflow, the gates and the details that builds have kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from airflow.sdk import Context

from goldsmith.engine.build_state import REASON_KEY, WARNINGS_KEY
from goldsmith.engine.gate.tolerance import tolerated_in_run
from goldsmith.engine.site import Site
from goldsmith.gates.verdict import Verdict
from goldsmith.report.facts import RunFacts, run_facts


def facts_of_run(site: Site, context: Context) -> RunFacts:
    """The facts of a run.

    Args:
        site: Where its nodes were built.
        context: Of a task of the run.
    """
    plan, run_id = site.graph.plan, context["run_id"]
    states = site.states(run_id)
    verdicts = {
        gate.task_id: Verdict.from_dict(values)
        for gate in plan.gates
        if isinstance(values := context["ti"].xcom_pull(task_ids=gate.task_id), dict)
    }
    builds = [task_id for build in plan.builds for task_id in (build.task_id, build.reconcile_id)]
    reasons = {
        task_id: str(why)
        for task_id in builds
        if states.get(task_id) == "failed"
        and (why := context["ti"].xcom_pull(task_ids=task_id, key=REASON_KEY))
    }
    pulled = [context["ti"].xcom_pull(task_ids=build.task_id, key=WARNINGS_KEY) for build in plan.builds]
    warned = dict.fromkeys(str(text) for texts in pulled if isinstance(texts, list) for text in texts)
    facts = run_facts(
        plan,
        run_id=run_id,
        started=context["dag_run"].start_date,
        made=datetime.now(UTC),
        states=states,
        records=site.results.all(run_id, site.graph.tasks),
        verdicts=verdicts,
        tolerated=tolerated_in_run(site, context, states),
        reasons=reasons,
    )
    return replace(facts, warned=tuple(warned))
