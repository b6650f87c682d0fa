"""`goldsmith check`: everything that can be told before a run, each point with its own verdict."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from rich.table import Table
from rich.text import Text

from goldsmith.alerts.routing import names_without_nodes
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import ConfigurationError, GoldsmithError
from goldsmith.local.airflow import local_stack
from goldsmith.local.environment import API_ACCESS, api_connection
from goldsmith.pipeline import load_plan, pipelines_in, project_of
from goldsmith.plan.placement import unheard
from goldsmith.plan.show import plan_head
from goldsmith.report.edr import edr_executable
from goldsmith.report.elementary_setup import package_version, setup_faults
from goldsmith.settings import Settings
from goldsmith.spec.alerts import Alerts
from goldsmith.spec.pipeline import Pipeline

OK, WARN, FAIL = "ok", "warn", "fail"
_SEEDS = ("1", "2")
_HINTS = {
    "manifest": "goldsmith manifest",
    "elementary": "See docs/report.md, *Elementary*.",
    "after": "If another DAG updates it, all is well; else the pipeline never starts by itself.",
    "alerts": "goldsmith alerts explain NODE says who hears of a node, and why others do not.",
    "places": "Write `engine: isolated` where they have to hold for the first try too.",
}
_STYLES = {OK: "green", WARN: "yellow", FAIL: "bold red"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found."""

    subject: str
    """The pipeline, and which check."""
    status: str
    """`ok`, `warn` or `fail`."""
    text: str
    hint: str = ""


def check_all(here: Settings, env: Mapping[str, str], *, strict: bool, connections: bool) -> list[Finding]:
    """Check every pipeline in the dags folder.

    Args:
        here: Settings of this process.
        env: Environment in which Airflow runs, with its connections.
        strict: Count warnings as failures.
        connections: Connect to the warehouse as dbt will, and to Airflow as the shared engine will.
    """
    try:
        found = pipelines_in(here.dags_dir)
    except GoldsmithError as error:
        return [Finding(subject="specs", status=FAIL, text=error.message, hint=error.hint)]
    if not found:
        return [
            Finding(
                subject="specs",
                status=FAIL,
                text=f"No pipeline: no DAG file in {here.dags_dir} calls goldsmith.build_dag.",
                hint="See the README for a DAG file of ten lines.",
            )
        ]
    specs = [spec for spec, _ in found.values()]
    findings = [
        each
        for spec, file in found.values()
        for each in _check_one(spec, file, specs, here, env, connections=connections)
    ]
    return [_strictly(each) for each in findings] if strict else findings


def findings_table(findings: list[Finding]) -> Table:
    """The findings for people: what failed stands out, and below it what to do."""
    table = Table(box=None, pad_edge=False)
    for head in ("", "check", "found"):
        table.add_column(head, overflow="fold")
    for each in findings:
        found = Text(each.text)
        if each.hint:
            found.append(f"\n{each.hint}", style="italic")
        table.add_row(Text(each.status, style=_STYLES[each.status]), each.subject, found)
    return table


def _strictly(finding: Finding) -> Finding:
    if finding.status != WARN:
        return finding
    return Finding(subject=finding.subject, status=FAIL, text=finding.text, hint=finding.hint)


def _check_one(
    spec: Pipeline,
    file: Path,
    others: Sequence[Pipeline],
    here: Settings,
    env: Mapping[str, str],
    *,
    connections: bool,
) -> list[Finding]:
    def try_it(what: str, test: Callable[[], tuple[str, str]]) -> Finding:
        try:
            status, text = test()
        except GoldsmithError as error:
            return Finding(subject=f"{spec.name}: {what}", status=FAIL, text=error.message, hint=error.hint)
        hint = _HINTS.get(what, "") if status != OK else ""
        return Finding(subject=f"{spec.name}: {what}", status=status, text=text, hint=hint)

    findings = [
        Finding(subject=f"{spec.name}: spec", status=OK, text=f"{file} is valid"),
        try_it("manifest", lambda: _manifest(project_of(spec, here))),
        try_it("plan", lambda: _plan(spec, here)),
    ]
    if all(each.status != FAIL for each in findings):
        if spec.after is not None:
            findings.append(try_it("after", lambda: _awaited(spec, others, here)))
        if said := unheard(load_plan(spec, project_of(spec, here), here)):
            findings.append(try_it("places", lambda: (WARN, f"of some nodes {said}")))
        if spec.report is not None and spec.report.elementary is not None:
            findings.append(try_it("elementary", lambda: _elementary(spec, here)))
        if spec.alerts is not None:
            findings.append(try_it("alerts", lambda: _alerts(spec, here)))
        findings.append(try_it("determinism", lambda: _determinism(file, env)))
        if connections:
            findings.append(try_it("connection", lambda: _connection(spec, here, env)))
            if spec.engine != "isolated":
                findings.append(_marks(spec, here, env))
    return findings


def _manifest(project: DbtProject) -> tuple[str, str]:
    if not project.manifest_path.is_file():
        raise ConfigurationError(f"No manifest at {project.manifest_path}.", hint="goldsmith manifest")
    changed = project.changed_since_manifest()
    if not changed:
        return OK, f"{project.manifest_path} is as new as the project's files"
    named = ", ".join(str(path.relative_to(project.path)) for path in changed[:5])
    more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
    return WARN, f"the manifest is older than {named}{more}"


def _plan(spec: Pipeline, here: Settings) -> tuple[str, str]:
    plan = load_plan(spec, project_of(spec, here), here)
    return OK, f"{plan_head(plan)}; tasks: {plan.tasks}"


def _awaited(spec: Pipeline, others: Sequence[Pipeline], here: Settings) -> tuple[str, str]:
    """Whether somebody updates what the pipeline waits for, as far as that can be known here."""
    uris = spec.after.uris if spec.after else ()
    updated = {
        node.asset: other.name
        for other in others
        if other.name != spec.name
        for node in load_plan(other, project_of(other, here), here).nodes
        if node.asset
    }
    found = [f"{uri} (of {updated[uri]})" for uri in uris if uri in updated]
    unknown = [uri for uri in uris if uri not in updated]
    if not unknown:
        return OK, f"waits for {', '.join(found)}"
    near = get_close_matches(unknown[0], updated, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return WARN, f"no pipeline here updates {', '.join(unknown)}{meant}"


def _elementary(spec: Pipeline, here: Settings) -> tuple[str, str]:
    """Whether runs will have Elementary's report, and pay for it no more than they have to."""
    project = project_of(spec, here)
    plan = load_plan(spec, project, here)
    if not plan.elementary:
        return (
            OK,
            "its dbt package is not installed, so runs have no report of Elementary; to have it: goldsmith deps",
        )
    faults = list(setup_faults(project, edr=edr_executable(here.edr)))
    if faults:
        return WARN, "; ".join(faults)
    return OK, f"Elementary {package_version(project.path)} writes into the schema {plan.elementary}"


def _alerts(spec: Pipeline, here: Settings) -> tuple[str, str]:
    """Whether what routes name is there: a mistyped layer would be an alert that nobody gets."""
    nodes = load_plan(spec, project_of(spec, here), here).nodes
    alerts = spec.alerts or Alerts()
    found = names_without_nodes(alerts, nodes)
    if found:
        return WARN, f"no node has what routes name: {'; '.join(found)}"
    return OK, f"{len(alerts.routes)} routes"


def _determinism(file: Path, env: Mapping[str, str]) -> tuple[str, str]:
    """Serialise the DAG in two fresh interpreters and compare."""
    one, two = (_fingerprint(file, env, seed) for seed in _SEEDS)
    if one["errors"]:
        raise ConfigurationError(
            f"Airflow cannot import {file}: {' '.join(one['errors'].values())}",
            hint=f"Try it: python {file}",
        )
    if one["dags"] != two["dags"]:
        raise ConfigurationError(
            f"{file} serialises differently in two processes, so Airflow writes a new DAG version again and again.",
            hint="Look for the clock, random values and sets in the file.",
        )
    return OK, "the DAG serialises alike in two processes"


def _fingerprint(file: Path, env: Mapping[str, str], seed: str) -> dict[str, dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "goldsmith.dag.fingerprint", str(file)],
        env={**env, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ConfigurationError(
            f"Airflow cannot load {file}:\n{done.stderr[-2000:]}", hint=f"Try it: python {file}"
        )
    found: dict[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _marks(spec: Pipeline, here: Settings, env: Mapping[str, str]) -> Finding:
    """Whether tasks may mark those whose node dbt has built; never a failure, for workers do it otherwise."""
    subject = f"{spec.name}: marks"
    stack = local_stack(here)
    if not stack.is_up() and env.get(API_ACCESS) == api_connection(stack.state.secrets(), stack.port):
        text = "whether tasks may mark others cannot be told while the local Airflow is not up"
        return Finding(subject=subject, status=OK, text=text, hint="goldsmith up")
    done = subprocess.run(
        [sys.executable, "-m", "goldsmith.engine.access", spec.name],
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        text = f"Airflow cannot read its connections:\n{done.stderr[-1000:]}"
        return Finding(subject=subject, status=WARN, text=text)
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    slower = " Runs are right all the same, but slower." if found["status"] == WARN else ""
    return Finding(
        subject=subject, status=found["status"], text=f"{found['text']}{slower}", hint=found["hint"]
    )


def _connection(spec: Pipeline, here: Settings, env: Mapping[str, str]) -> tuple[str, str]:
    """Let dbt itself connect, with the profile that the tasks will have."""
    project = project_of(spec, here)
    asked = {
        "project_dir": str(project.path),
        "profile": project.profile,
        "target": spec.target or here.target,
        "connection": spec.connection,
        "profile_args": spec.profile.for_dbt(),
    }
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer"
        command = [sys.executable, "-m", "goldsmith.dbt.debug", str(answer)]
        done = subprocess.run(
            command, input=json.dumps(asked), env=dict(env), capture_output=True, text=True, check=False
        )
        text = answer.read_text(encoding="utf-8") if answer.is_file() else done.stderr[-1000:]
    if text:
        raise ConfigurationError(
            f"dbt cannot connect with the Airflow connection {spec.connection!r}: {text}",
            hint=f"goldsmith up --warehouse, or define it: airflow connections add {spec.connection} ...",
        )
    return OK, f"dbt connects with the Airflow connection {spec.connection!r}"
