"""What can be said about a pipeline without Airflow: its manifest, its plan, and what its spec names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from goldsmith.alerts.routing import names_without_nodes
from goldsmith.check.finding import FAIL, OK, WARN, Finding, failure, tried
from goldsmith.check.packages import missing_by_spec
from goldsmith.dbt.executable import dbt_executable
from goldsmith.dbt.project import DbtProject
from goldsmith.dbt.versions import FEATURES, has, is_same_line, usable_dbt
from goldsmith.elementary.edr import edr_executable
from goldsmith.elementary.setup import package_version, setup_faults
from goldsmith.pipeline import dbt_of, load_plan, project_of
from goldsmith.pipelines.manifests import refresh_manifest
from goldsmith.plan.model import Plan
from goldsmith.plan.network import Network
from goldsmith.plan.placement import unheard
from goldsmith.plan.show import plan_head
from goldsmith.settings import Settings
from goldsmith.spec.alerts import Alerts
from goldsmith.spec.pipeline import Pipeline
from goldsmith.warehouse.choose import missing
from goldsmith.warehouse.turns import ONE_SLOT_POOL, is_one_process
from goldsmith.wording import did_you_mean


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A pipeline whose plan could be made."""

    spec: Pipeline
    file: Path
    project: DbtProject
    plan: Plan


def planned(
    spec: Pipeline, file: Path, here: Settings, report: Callable[[str], None]
) -> tuple[list[Finding], Planned | None]:
    """Make manifest and plan of a pipeline if they are missing or old.

    Args:
        spec: The pipeline.
        file: Its DAG file.
        here: Settings of this process.
        report: Called with a line for each step that takes time.

    Returns:
        The findings, and the plan unless one of them is a failure.
    """
    report(f"Checking {spec.name}")
    said: list[str] = []

    def note(line: str) -> None:
        report(line)
        said.append(line)

    findings = [Finding(subject=f"{spec.name}: spec", status=OK, text=f"{file} is valid")]
    subject = f"{spec.name}: manifest"
    try:
        refresh_manifest(spec, here, note)
        # Only now: a pipeline with a target of its own may have had no manifest before.
        project = project_of(spec, here)
        made = "; ".join(["it was missing or old, and has been made", *said[1:]]) if said else "up to date"
        findings.append(Finding(subject=subject, status=OK, text=f"{project.manifest_path}: {made}"))
        subject = f"{spec.name}: plan"
        plan = load_plan(spec, project, here)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported and the other checks go on
        return [*findings, failure(subject, error)], None
    findings.append(Finding(subject=subject, status=OK, text=f"{plan_head(plan)}; tasks: {plan.tasks}"))
    return findings, Planned(spec=spec, file=file, project=project, plan=plan)


def without_airflow(one: Planned, network: Network, here: Settings) -> Iterator[Finding]:
    """Check what the spec names against the plan.

    Args:
        one: The pipeline.
        network: All pipelines of the dags folder.
        here: Settings of this process.
    """
    name, spec = one.spec.name, one.spec
    yield tried(f"{name}: dbt", lambda: _dbt(one, here), hint=f"goldsmith manifest {name}")
    if spec.after is not None:
        yield tried(
            f"{name}: after",
            lambda: _awaited(name, network),
            hint="goldsmith plan --all draws who waits for whom. What another DAG updates is not known here.",
        )
    yield from _warehouse(one)
    yield from missing_by_spec(spec, here)
    if kinds := one.plan.unknown_kinds:
        text = f"no task builds nodes of types that Goldsmith does not know: {', '.join(kinds)}"
        yield Finding(subject=f"{name}: types", status=WARN, text=text, hint="Build them with dbt itself.")
    if said := unheard(one.plan):
        hint = "Write `engine: isolated` where they have to hold for the first try too."
        yield Finding(subject=f"{name}: places", status=WARN, text=f"of some nodes {said}", hint=hint)
    if spec.report is not None and spec.report.elementary is not None:
        yield tried(
            f"{name}: elementary", lambda: _elementary(one, here), hint="See docs/report.md, *Elementary*."
        )
    if spec.alerts is not None:
        yield tried(
            f"{name}: alerts",
            lambda: _alerts(one),
            hint="goldsmith alerts explain NODE says who hears of a node, and why others do not.",
        )


def _dbt(one: Planned, here: Settings) -> tuple[str, str]:
    """Whether Goldsmith runs this dbt, and whether it is the one that the manifest is from."""
    executable = dbt_executable(dbt_of(one.spec, here))
    version = usable_dbt(executable)
    said = f"{executable} is dbt {version}"
    if not is_same_line(version, one.plan.dbt_version):
        return WARN, f"{said}, and the manifest was made by dbt {one.plan.dbt_version}"
    lacking = [f"without {each.text}: {each.without}" for each in FEATURES if not has(version, each)]
    return OK, "; ".join([said, *lacking])


def _warehouse(one: Planned) -> Iterator[Finding]:
    """What Goldsmith cannot do in the warehouse, and whether tasks could be in each other's way there."""
    subject, adapter = f"{one.spec.name}: warehouse", one.plan.adapter
    if adapter and (lacks := missing(adapter)):
        text = f"in {adapter} Goldsmith cannot {'; '.join(each.text for each in lacks)}"
        hint = "docs/warehouses.md says what a run is like without."
        yield Finding(subject=subject, status=OK, text=text, hint=hint)
    if is_one_process(adapter) and not one.spec.pool:
        text = (
            f"a {adapter} file belongs to one process at a time: the tasks of a run take turns, but those of a "
            "backfill, or of another pipeline that uses the file, would fail beside them on another Airflow than the "
            "local stack"
        )
        hint = (
            f"airflow pools set {ONE_SLOT_POOL} 1 DuckDB, then `pool: {ONE_SLOT_POOL}` in all of their specs"
        )
        yield Finding(subject=subject, status=OK, text=text, hint=hint)


def _awaited(name: str, network: Network) -> tuple[str, str]:
    """Whether somebody updates what the pipeline waits for, as far as that can be known here."""
    for cycle in network.cycles():
        if name in cycle:
            return FAIL, f"{' waits for '.join(cycle)}: they wait for each other"
    if unknown := network.unknown(name):
        meant = did_you_mean(unknown[0], network.assets, "")
        return WARN, f"no pipeline here updates {', '.join(unknown)}{'. ' if meant else ''}{meant}"
    awaited = [f"{uri} (of {', '.join(network.updating(uri))})" for uri in network.members[name].awaited]
    return OK, f"waits for {', '.join(awaited)}"


def _elementary(one: Planned, here: Settings) -> tuple[str, str]:
    """Whether runs will have Elementary's report, and pay for it no more than they have to."""
    if not one.plan.elementary:
        return (
            OK,
            "its dbt package is not installed, so runs have no report of Elementary; to have it: goldsmith deps",
        )
    faults = list(setup_faults(one.project, edr=edr_executable(here.edr)))
    if faults:
        return WARN, "; ".join(faults)
    version = package_version(one.project.path)
    return OK, f"Elementary {version} writes into the schema {one.plan.elementary}"


def _alerts(one: Planned) -> tuple[str, str]:
    """Whether what routes name is there: a mistyped layer would be an alert that nobody gets."""
    alerts = one.spec.alerts or Alerts()
    found = names_without_nodes(alerts, one.plan.nodes)
    if found:
        return WARN, f"no node has what routes name: {'; '.join(found)}"
    return OK, f"{len(alerts.routes)} routes"
