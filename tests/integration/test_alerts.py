"""Alerts of real runs: who hears of what, when, and once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.integration import planted
from tests.integration.planted import PLANTED
from tests.integration.shared_lab import Lab, Seen
from tests.unit.alerts.receiver import Receiver

from goldsmith.rest.transport import run_path

pytestmark = pytest.mark.integration

RATES = "bronze.rates.run"
Alerted = tuple[Lab, Receiver]


def sent(receiver: Receiver, run_id: str) -> list[dict[str, Any]]:
    """The events of a run that the web service got, in the order of their coming."""
    return [
        event
        for request in receiver.requests
        if request.path == "/hook"
        for event in request.body["events"]
        if event["run_id"] == run_id
    ]


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    """What they are."""
    return sorted(event["kind"] for event in events)


def paged(receiver: Receiver, pipeline: str) -> list[tuple[str, str]]:
    """What the pager was told of a pipeline in production: action and key."""
    bodies = [one.body for one in receiver.requests if one.path == "/v2/enqueue"]
    return [
        (one["event_action"], one["dedup_key"].removeprefix("prod/"))
        for one in bodies
        if one["dedup_key"].startswith(f"prod/{pipeline}/")
    ]


def outcome(lab: Lab, seen: Seen) -> dict[str, Any]:
    """What the alerts' task says of its messages."""
    path = f"{run_path(seen.run.dag_id, seen.run.run_id)}/taskInstances/alerts/xcomEntries/return_value"
    found: dict[str, Any] = lab.api.send("GET", path)["value"]
    return found


def failed_run(lab: Lab, pipeline: str, **broken: int) -> Seen:
    """A run in which something fails; afterwards it no longer would."""
    lab.control([pipeline], **broken)
    [seen] = lab.finished(lab.start([pipeline])).values()
    lab.control([pipeline], divisor=1, unknown=0)
    return seen


def test_a_failure_is_told_after_its_last_retry_and_that_it_is_over_when_it_is(alerted: Alerted) -> None:
    """At once to the pager, with the run's end to the others; a receiver that is away harms nothing."""
    lab, receiver = alerted
    seen = failed_run(lab, "alerted", divisor=0)
    assert (seen.run.state, seen.states["alerts"]) == ("failed", "success")
    assert seen.tasks[RATES].try_number == 2
    events = sent(receiver, seen.run.run_id)
    assert kinds(events) == ["gate_blocked", "model_failed", "run_finished"]
    [failed] = [one for one in events if one["kind"] == "model_failed"]
    assert "division by zero" in failed["message"]
    assert {"priced", "revenue"} <= set(failed["blocks"])
    assert failed["links"]["task"].endswith(f"/tasks/{RATES}/plugin/dbt-result")
    assert failed["links"]["runbook"] == "https://wiki.example.com/alerted/rates"
    assert failed["command"] == "dbt build --select fqn:lab.bronze.rates"
    assert paged(receiver, "alerted") == [
        ("trigger", "alerted/model.lab.rates"),
        ("trigger", "alerted/bronze.gate"),
    ]
    said = outcome(lab, seen)
    assert said["sent"] == 2  # the web service, and the log
    assert [one.split(":")[0] for one in said["not_sent"]] == ["away"]
    assert "model rates failed" in lab.log(seen.run, seen.tasks["alerts"])

    before = len(receiver.requests)
    lab.clear(seen.run, [RATES], include_downstream=True)
    after = lab.finished({"alerted": seen.run})["alerted"]
    assert after.run.state == "success", after.not_green
    over = sent(receiver, seen.run.run_id)[len(events) :]
    assert kinds(over) == ["recovered", "recovered", "test_warned"]
    assert paged(receiver, "alerted")[2:] == [
        ("resolve", "alerted/bronze.gate"),
        ("resolve", "alerted/model.lab.rates"),
    ]
    assert len(receiver.requests) == before + 3


def test_a_red_test_comes_with_its_rows_and_recovers_in_the_next_run(alerted: Alerted) -> None:
    """And with the run in which it was green last."""
    lab, receiver = alerted
    [green] = lab.finished(lab.start(["alerted_alone"])).values()
    assert green.run.state == "success", green.not_green
    assert kinds(sent(receiver, green.run.run_id)) == ["run_finished"]
    seen = failed_run(lab, "alerted_alone", divisor=0)
    failed = next(one for one in sent(receiver, seen.run.run_id) if one["kind"] == "model_failed")
    assert failed["last_green"] == green.run.run_id
    assert ("trigger", "alerted_alone/model.lab.rates") in paged(receiver, "alerted_alone")
    [again] = lab.finished(lab.start(["alerted_alone"])).values()
    assert again.run.state == "success", again.not_green
    assert "recovered" in kinds(sent(receiver, again.run.run_id))
    assert ("resolve", "alerted_alone/model.lab.rates") in paged(receiver, "alerted_alone")


def test_failing_rows_are_told(alerted: Alerted) -> None:
    """As a table of text."""
    lab, receiver = alerted
    seen = failed_run(lab, "alerted_rows", unknown=2)
    [failed] = [one for one in sent(receiver, seen.run.run_id) if one["kind"] == "test_failed"]
    assert failed["name"].startswith("not_null_people_customer")
    assert "customer" in failed["rows"]["columns"]
    assert len(failed["rows"]["rows"]) == 2


def test_the_reports_are_published_with_dbts_documentation(alerted: Alerted) -> None:
    """Under the run and as the latest; of so many runs as are to be kept."""
    lab, _ = alerted
    folder = lab.stack.root / "published" / "published"
    for _ in range(2):
        [seen] = lab.finished(lab.start(["published"])).values()
        assert seen.run.state == "success", seen.not_green
        assert {seen.states[one] for one in ("report", "dbt_docs", "publish")} == {"success"}
    [run] = [path for path in folder.iterdir() if path.name not in ("latest", "~published")]
    assert {path.name for path in run.iterdir()} == {"report.html", "dbt_docs.html"}
    for name in ("report.html", "dbt_docs.html"):
        assert (folder / "latest" / name).read_bytes() == (run / name).read_bytes()
    assert "model.lab.rates" in (run / "dbt_docs.html").read_text()
    assert set(lab.api.reports("published", seen.run.run_id)["files"]) == {"report.html", "dbt_docs.html"}


def test_a_missed_deadline_is_told_when_it_passes(alerted: Alerted) -> None:
    """While the run goes on; and when it has ended well, that it has."""
    lab, receiver = alerted
    lab.control(["alerted_late"], divisor=-2)
    runs = lab.start(["alerted_late"])
    run = runs["alerted_late"]
    lab.until(lambda: "deadline_missed" in kinds(sent(receiver, run.run_id)), "the deadline")
    assert not lab.api.run("alerted_late", run.run_id).is_finished
    lab.control(["alerted_late"], divisor=1)
    lab.sql(
        "select pg_cancel_backend(pid) from pg_stat_activity "
        "where query like '%lab.rate%' and pid <> pg_backend_pid()"
    )
    lab.finished(runs)
    assert {"recovered", "run_finished"} <= set(kinds(sent(receiver, run.run_id)))


def test_a_gate_that_asks_is_told_at_once(alerted: Alerted) -> None:
    """Whoever may answer hears of it while it waits."""
    lab, receiver = alerted
    lab.control(["alerted_asks"], divisor=0)
    runs = lab.start(["alerted_asks"])
    run = runs["alerted_asks"]
    lab.until_state(run, "bronze.gate", "awaiting_input")
    lab.control(["alerted_asks"], divisor=1)
    [asked] = [one for one in sent(receiver, run.run_id) if one["kind"] == "gate_waiting"]
    assert asked["title"] == "the gate after bronze waits for a person to approve or reject"
    assert "failed_models" in asked["message"]
    lab.clear(run, [RATES])
    lab.api.send("PATCH", run_path("alerted_asks", run.run_id), body={"state": "failed"})
    lab.finished(runs)


def logins_in(lab: Lab, folders: Sequence[Path]) -> list[Path]:
    """The files with a password of the other channels, or with the login of tasks, which has its file, and no other."""
    secrets = (b"secret-of-", lab.stack.state.secrets().tasks_password.encode())
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in files if path != lab.stack.state.passwords_file]
    return [path for path in kept if any(secret in path.read_bytes() for secret in secrets)]


def test_no_secret_is_kept_shown_or_sent_anywhere(alerted: Alerted) -> None:
    """Of connections, headers, addresses, variables and the REST login: after green and red runs, 0 hits."""
    lab, receiver = alerted
    with planted.command_lines() as lines:
        green = lab.finished(lab.start(PLANTED))
        lab.control(PLANTED, divisor=0)
        red = lab.finished(lab.start(PLANTED))
    assert {one.run.state for one in green.values()} == {"success"}
    assert {one.run.state for one in red.values()} == {"failed"}
    for name in PLANTED:
        [leaks] = red[name].records["bronze.leaks.run"]
        assert 'invalid input syntax for type integer: "*** ***"' in leaks.message
        assert "'*** ***'::int" in leaks.compiled_sql
        told = outcome(lab, red[name])["not_sent"]
        assert told
        assert all("answers 403" in one and "***" in one for one in told)
    state, run_id = lab.stack.root / ".goldsmith", red["planted"].run.run_id
    folders = [state / part for part in ("logs", "results", "cosmos", "airflow") if (state / part).is_dir()]
    assert planted.in_files(*folders) == []
    database = lab.stack.server.conninfo("airflow")
    assert planted.in_database(database) == []
    looked_at = {one.split(":")[0] for one in planted.in_database(database, "leaks")}
    assert {"serialized_dag", "xcom", "task_instance"} <= looked_at
    assert lines == set()
    shown = (
        f"logs bronze.leaks.run --pipeline planted --run {run_id}",
        f"report {run_id} --pipeline planted",
    )
    commands = [f"{command} --json" for command in (*shown, "plan planted")]
    assert planted.in_output(lab.stack.root, *commands) == []
    bodies = [json.dumps(one.body) for one in receiver.requests if one.path == "/hook"]
    assert any("leaks" in body for body in bodies)
    assert [body for body in bodies if planted.MARK in body] == []
    assert logins_in(lab, folders) == []
