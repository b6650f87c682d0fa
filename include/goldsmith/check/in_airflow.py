"""What Airflow itself says about pipelines: asked in two processes at once, of all DAG files together."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldsmith.check.finding import FAIL, OK, WARN, Finding
from goldsmith.check.packages import mail_connections, missing_by_connection
from goldsmith.check.pipeline import Planned
from goldsmith.dag.faults import fault_in
from goldsmith.dbt.manifest import read_document
from goldsmith.kinds import RELATIONS
from goldsmith.pipeline import dbt_of
from goldsmith.profile_file import connection_of, named
from goldsmith.settings import Settings
from goldsmith.stack.environment import API_ACCESS, api_connection
from goldsmith.stack.stack import local_stack
from goldsmith.wording import some

_SEEDS = ("1", "2")
_GRANTS = 5
_SLOWER = " Runs are right all the same, but slower."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """A test of a connection."""

    name: str
    connection: str
    """Id of the connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AirflowAnswers:
    """What two processes of Airflow's answered about the same files."""

    one: dict[str, Any]
    two: dict[str, Any]
    tests: Mapping[str, _Asked]
    """Pipeline to the test of its connection."""
    marks_unknown: bool
    """Whether only an Airflow that is not up could say whether tasks may mark others."""

    def about(self, one: Planned, *, is_named: bool) -> Iterator[Finding]:
        """The findings about one pipeline.

        Args:
            one: The pipeline.
            is_named: Whether it was asked for by name.
        """
        name, file = one.spec.name, str(one.file)
        if passed_over := self.one["unread"].get(file):
            status = WARN if passed_over["is_ignored"] and not is_named else FAIL
            text, hint = passed_over["text"], passed_over["hint"]
            yield Finding(subject=f"{name}: dag", status=status, text=text, hint=hint)
        else:
            yield self._rendered(one)
        if name in self.tests:
            yield from self._connection(one)
        yield from missing_by_connection(one.spec, self.one["types"])
        if name in self.one["marks"]:
            said = self.one["marks"][name]
            text = f"{said['text']}{_SLOWER if said['status'] == WARN else ''}"
            yield Finding(subject=f"{name}: marks", status=said["status"], text=text, hint=said["hint"])
        elif name in self.tests and self.marks_unknown and one.spec.engine != "isolated":
            text = "whether tasks may mark others cannot be told while the local Airflow is not up"
            yield Finding(subject=f"{name}: marks", status=OK, text=text, hint="goldsmith up")

    def _rendered(self, one: Planned) -> Finding:
        subject, file = f"{one.spec.name}: dag", str(one.file)
        first, second = (found["files"][file] for found in (self.one, self.two))
        broken = [
            found["broken"][one.spec.name] for found in (first, second) if one.spec.name in found["broken"]
        ]
        for fault in (*first["faults"], *second["faults"], *broken):
            return Finding(subject=subject, status=FAIL, **fault)
        if one.spec.name not in first["dags"]:
            found = ", ".join(first["dags"]) or "none"
            text = f"Airflow finds no DAG {one.spec.name} in {file} (DAGs there: {found})."
            hint = (
                "Call build_dag at the top level of the file, and assign what it returns; of build_dags: "
                "globals().update(build_dags(...))"
            )
            return Finding(subject=subject, status=FAIL, text=text, hint=hint)
        if first["dags"][one.spec.name] != second["dags"].get(one.spec.name):
            text = (
                f"{file} serialises differently in two processes, so Airflow writes a new DAG version again "
                "and again."
            )
            hint = "Look for the clock, random values and sets in the file."
            return Finding(subject=subject, status=FAIL, text=text, hint=hint)
        return Finding(
            subject=subject, status=OK, text="Airflow imports and serialises it, alike in two processes"
        )

    def _connection(self, one: Planned) -> Iterator[Finding]:
        """Whether dbt connects, and may do in the warehouse what the pipeline wants."""
        name = one.spec.name
        asked = self.tests[name]
        if wrong := self.one["connections"].get(asked.name):
            yield Finding(subject=f"{name}: connection", status=FAIL, **wrong)
            return
        text = f"dbt connects with the {named(asked.connection)}"
        grants = self.one["rights"].get(name)
        if isinstance(grants, dict):  # dbt's profile leaves out what it does not know of a connection
            text += f", but Goldsmith cannot, so each run would fail: {grants['text']}"
            yield Finding(subject=f"{name}: connection", status=FAIL, text=text, hint=grants["hint"])
            return
        yield Finding(subject=f"{name}: connection", status=OK, text=text)
        if grants:
            text = f"the user of the {named(asked.connection)} lacks rights that the pipeline needs"
            hint = some(grants, _GRANTS, between="\n")
            yield Finding(subject=f"{name}: rights", status=FAIL, text=text, hint=hint)
        elif grants is not None:
            text = "its user may make the relations of the pipeline, and read its sources"
            yield Finding(subject=f"{name}: rights", status=OK, text=text)


def ask_airflow(
    those: Sequence[Planned], here: Settings, env: Mapping[str, str], *, connections: bool
) -> AirflowAnswers | Finding:
    """Let Airflow import the DAG files, and try connections.

    Args:
        those: The pipelines.
        here: Settings of this process.
        env: Environment in which Airflow runs, with its connections.
        connections: Connect to the warehouse as dbt will, and to Airflow as the shared engine will.

    Returns:
        The answers; a finding if Airflow does not even start.
    """
    asked: dict[str, dict[str, Any]] = {}
    tests = {one.spec.name: _test_of(one, here, asked) for one in those} if connections else {}
    marks_unknown = only_local_airflow_knows(here, env)
    marked = [one.spec.name for one in those if one.spec.engine != "isolated"]
    questions = _questions(
        those, here, asked, tests, marked=marked if connections and not marks_unknown else []
    )
    with tempfile.TemporaryDirectory(prefix="goldsmith-") as folder:
        probes = [
            Probe(Path(folder, seed), asking, env={**env, "PYTHONHASHSEED": seed})
            for seed, asking in zip(_SEEDS, questions, strict=True)
        ]
        one, two = (probe.answers() for probe in probes)
        for probe, answer in zip(probes, (one, two), strict=True):
            if not answer:
                return probe.problem()
    merged = {**one, **{key: two[key] for key in ("connections", "rights", "marks")}}
    return AirflowAnswers(one=merged, two=two, tests=tests, marks_unknown=marks_unknown)


def _questions(
    those: Sequence[Planned],
    here: Settings,
    asked: Mapping[str, Any],
    tests: Mapping[str, _Asked],
    *,
    marked: Sequence[str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each of the two processes is asked: of all DAG files both, of anything else one.

    Args:
        those: The pipelines.
        here: Settings of this process.
        asked: Name to what `ConnectionTest` takes.
        tests: Pipeline to its test; empty if connections are not to be tried.
        marked: Pipelines whose tasks are to be marked.
    """
    files = sorted({str(one.file) for one in those})
    common = {"dags_dir": str(here.dags_dir), "files": files, "connections": {}, "rights": {}, "marks": []}
    mails = sorted({connection for one in those for connection in mail_connections(one.spec)})
    rights = {one.spec.name: _rights_of(one, tests[one.spec.name]) for one in those if tests}
    slower = {"connections": asked, "rights": rights, "marks": [*marked]}
    return (
        {**common, "unread": True, "types": mails if tests else []},
        {**common, "unread": False, "types": [], **slower},
    )


class Probe:
    """A process of Airflow's that answers questions, in the background until `answers` is called.

    Args:
        stem: Path of its files, which get endings of their own.
        questions: As `goldsmith.dag.probe` takes them.
        env: Environment in which Airflow runs.
    """

    def __init__(self, stem: Path, questions: Mapping[str, Any], *, env: Mapping[str, str]) -> None:
        self._answers, self._log = stem.with_suffix(".answers"), stem.with_suffix(".log")
        asked = stem.with_suffix(".questions")
        asked.write_text(json.dumps(questions), encoding="utf-8")
        self._answers.unlink(missing_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "goldsmith.dag.probe", str(asked), str(self._answers)],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def answers(self) -> dict[str, Any]:
        """Wait for the answers; none if Airflow does not start."""
        self._process.wait()
        if not self._answers.is_file():
            return {}
        found: dict[str, Any] = json.loads(self._answers.read_text(encoding="utf-8"))
        return found

    def problem(self) -> Finding:
        """Why there are no answers."""
        fault = fault_in(self._log.read_text(encoding="utf-8", errors="replace"), Path("airflow"))
        text = f"Airflow does not start here: {fault['text']}"
        return Finding(
            subject="airflow", status=FAIL, text=text, hint="To see where: python -c 'import airflow'"
        )


def _test_of(one: Planned, here: Settings, asked: dict[str, dict[str, Any]]) -> _Asked:
    """The test of a pipeline's connection; those that would test the same share one."""
    profile = one.spec.profile.for_dbt()
    tested = {key: value for key, value in profile.items() if key not in ("schema", "threads")}
    connection = connection_of(one.spec, here, profile=one.project.profile, project_dir=one.project.path)
    name = json.dumps([connection, tested], sort_keys=True)
    asked.setdefault(
        name,
        {
            "project_dir": str(one.project.path),
            "profile": one.project.profile,
            "target": one.spec.target or here.target,
            "connection": connection,
            "profile_args": profile,
            "variables": one.spec.vars,
            "dbt": dbt_of(one.spec, here),
        },
    )
    return _Asked(name=name, connection=connection)


def _rights_of(one: Planned, test: _Asked) -> dict[str, Any]:
    """What the user of a pipeline's connection has to be able to do."""
    sources = read_document(one.project.manifest_path, one.project.path).get("sources", {})
    # Sources with a check of their freshness are nodes of the plan, others are not.
    read = [*one.plan.not_run, *(node.unique_id for node in one.plan.nodes)]
    relations = {str(sources[uid].get("relation_name") or "") for uid in read if uid in sources}
    written = {node.relation for node in one.plan.nodes if node.kind in RELATIONS}
    return {
        "connection": test.connection,
        "writes": sorted(written - {""}),
        "reads": sorted(relations - {""}),
    }


def only_local_airflow_knows(here: Settings, env: Mapping[str, str]) -> bool:
    """Whether tasks reach the local stack's Airflow, and that is not up."""
    stack = local_stack(here)
    return not stack.is_up() and env.get(API_ACCESS) == api_connection(stack.state.secrets(), stack.port)
