"""Markdown for the DAG's page: what the pipeline does, its layers, and how to run parts of it again."""

from __future__ import annotations

from collections import Counter

from goldsmith.airflow_pages import dag_url
from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.markdown import code, link, plain, prose
from goldsmith.plan.model import Plan, PlannedGate
from goldsmith.settings import airflow_url
from goldsmith.spec.pipeline import Pipeline
from goldsmith.warehouse.choose import missing

_KINDS = ("model", "seed", "snapshot", "function", "test", "unit_test", "source")
_OWNERS = 20
_HEADS = ("models", "seeds", "snapshots", "functions", "tests", "unit tests", "freshness")


def pipeline_docs(plan: Plan, spec: Pipeline) -> str:
    """Description, counts by layer, exposures and what to do when something is red."""
    parts = [
        prose(spec.description),
        _counts(plan),
        _unknown_line(plan),
        _tasks_line(plan),
        _gate_line(plan, spec),
        _warehouse(plan),
    ]
    parts += [
        _times(spec),
        _owners(plan),
        _RERUN,
        _PART if spec.engine == "shared" else "",
        _REPORT if spec.report else "",
        _links(spec),
    ]
    if plan.exposures:
        parts.append("**Who uses it**\n\n" + "\n".join(f"- {line}" for line in plan.exposures))
    parts.append(
        f"dbt project {code(plan.project_name)}, dbt {plan.dbt_version}, "
        + (
            f"profile in {code(spec.profile.file)}."
            if spec.profile.file
            else f"connection {code(spec.connection)}."
        )
    )
    return "\n\n".join(part for part in parts if part)


def _links(spec: Pipeline) -> str:
    """To the pipeline's runs, and to what to do when something is wrong."""
    page = dag_url(url, spec.name) if (url := airflow_url()) else ""
    links = {"runs": f"{page}/runs", "tasks": f"{page}/tasks"} if page else {}
    if spec.alerts and (to := spec.alerts.runbook_of(node="", owner=spec.owner, pipeline=spec.name)):
        links["runbook"] = to
    return "**Links**: " + ", ".join(link(text, to) for text, to in links.items()) if links else ""


def gate_docs(gate: PlannedGate) -> str:
    """What the gate of a layer lets through."""
    if not gate.limits:
        return f"Passes when every task of `{gate.layer}` is green; what comes after it waits."
    limits = "\n".join(f"- {limit}" for limit in gate.limits)
    return (
        f"Passes when every task of `{gate.layer}` is green, or what is not stays within these limits; what comes "
        f"after it waits.\n\n{limits}"
    )


def _counts(plan: Plan) -> str:
    layers = {node.layer: None for node in plan.nodes}
    ordered = [layer for layer in layers if layer not in plan.layers] + [
        x for x in plan.layers if x in layers
    ]
    counts = Counter((node.layer, node.kind) for node in plan.nodes)
    rows = ["| layer | " + " | ".join(_HEADS) + " |", "|---" * (len(_HEADS) + 1) + "|"]
    rows += [
        f"| {layer} | " + " | ".join(str(counts[layer, kind] or "") for kind in _KINDS) + " |"
        for layer in ordered
    ]
    return "\n".join(rows)


def _unknown_line(plan: Plan) -> str:
    """What no task builds because Goldsmith does not know it."""
    if not plan.unknown_kinds:
        return ""
    return f"**Not built**: nodes of types that Goldsmith does not know: {', '.join(plan.unknown_kinds)}."


def _tasks_line(plan: Plan) -> str:
    because = f" Chosen by `auto`: {plan.tasks_because}." if plan.tasks_because else ""
    return f"{_TASKS[plan.tasks]} (`tasks: {plan.tasks}`).{because}"


def _gate_line(plan: Plan, spec: Pipeline) -> str:
    if spec.gate == "node":
        return "Each task starts when what it reads is built and tested, whatever its layer."
    chain = " → ".join(spec.layers)
    limited = [gate for gate in plan.gates if gate.limits]
    but = ", or within its limits" if limited else ""
    line = f"Layers build in order: {chain}. A gate after each lets the next start when all its tasks are green{but}."
    rows = [f"| {gate.layer} | {'; '.join(gate.limits)} |" for gate in limited]
    return "\n".join([line, "", "| gate after | limits |", "|---|---|", *rows]) if rows else line


def _warehouse(plan: Plan) -> str:
    """What Goldsmith cannot do in the pipeline's warehouse."""
    lines = [f"- {one.text}: {one.without}" for one in missing(plan.adapter)] if plan.adapter else []
    return "\n".join([f"**In {plan.adapter} Goldsmith cannot**", "", *lines]) if lines else ""


def _times(spec: Pipeline) -> str:
    """What it comes after, and by when it has to be done."""
    starts = (
        [f"Runs {spec.after.text}{f', and at {spec.times}' if spec.times else ''}."] if spec.after else []
    )
    lines = [f"- {deadline.text}" for deadline in spec.deadlines]
    return "\n".join([*starts, *(["", "**Deadlines**", "", *lines] if lines else [])]).strip()


def _owners(plan: Plan) -> str:
    """Who is asked about what."""
    counts = Counter(node.owner for node in plan.nodes if node.kind not in TEST_KINDS)
    if len(counts) < 2:  # the DAG's page names the one anyway
        return ""
    named = ", ".join(f"{plain(owner)} ({number})" for owner, number in counts.most_common(_OWNERS))
    return f"**Owners** of nodes: {named}{', and others' if len(counts) > _OWNERS else ''}."


_TASKS = {
    "test": "Each node and each test is a task of its own",
    "model_tests": "Each node is a task, and so are all its tests together, and all its unit tests",
    "model": "Each node is a task, with its tests and unit tests",
}
_RERUN = (
    "**A task is red?** Open it and read its log: dbt's own message stands at the end. When the cause is mended, "
    "*Clear* the task with *Downstream*: that node runs again, then what it held back, and nothing else."
)
_PART = (
    "**Only a part of it?** *Trigger* has a form: what `select` names is built (names, `tag:`, `path:`, `+`, "
    "`result:error`), the rest is skipped; it takes a dry run, a full refresh, variables and a window too. On the "
    "command line: `goldsmith run --select ...`, and `goldsmith run --failed` to go on with a run that failed."
)
_REPORT = "**What came out?** Each run has its report, in the tab *report* of the run."
