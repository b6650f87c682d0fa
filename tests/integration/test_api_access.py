"""What a task may do over the REST API, on a real Airflow, and what it outlives."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jwt
import psutil
import pytest
from tests.integration.ports import free_port

from goldsmith.check.in_airflow import Probe, only_local_airflow_knows
from goldsmith.client.parsed import wait_until_parsed
from goldsmith.errors import ApiRefused, EnvironmentProblem
from goldsmith.rest import Login, RestClient, Run
from goldsmith.settings import Settings
from goldsmith.stack.environment import API_ACCESS, TASKS_USER
from goldsmith.stack.record import Record
from goldsmith.stack.stack import Stack, local_stack

pytestmark = pytest.mark.integration

OUTAGE = 30.0
LIMIT = 120.0
DAG = """
import time
from pathlib import Path
from airflow.sdk import DAG, TaskGroup, get_current_context, task

FOLDER = Path({folder!r})

def wait_for(name):
    while not (FOLDER / name).exists():
        time.sleep(0.2)

with DAG("marks", schedule=None):
    @task
    def build():
        from goldsmith.engine.access import airflow_api
        run_id = get_current_context()["run_id"]
        with airflow_api() as api:
            api.can_mark("marks")
            print("marked", api.mark_done("marks", run_id, {{"bronze.a.run": ("", "")}}))
        (FOLDER / "marked").touch()
        wait_for("built")

    @task
    def run():
        (FOLDER / "ran").touch()

    begin = build()
    for layer in ("bronze", "silver"):
        with TaskGroup(layer):
            for node in "abc":
                with TaskGroup(node):
                    begin >> run()

with DAG("outage", schedule=None):
    @task
    def survive():
        (FOLDER / "sleeping").touch()
        wait_for("awake")
        # After the outage as before it, the task's own requests are answered.
        get_current_context()["ti"].xcom_push(key="said", value="alive")
    survive()
"""


@dataclass(frozen=True)
class Site:
    """The running stack, and what its DAGs wait for."""

    stack: Stack
    folder: Path
    admin: RestClient

    def client(self, login: Login | None = None) -> RestClient:
        """A client; by default with the login that tasks have."""
        password = self.stack.state.secrets().tasks_password
        return RestClient(self.admin.base_url, login or Login(user=TASKS_USER, password=password))

    def started(self, dag_id: str) -> Run:
        """Start a run."""
        wait_until_parsed(self.admin, dag_id, self.stack.dags_dir, changed=None)
        self.admin.unpause(dag_id)
        return self.admin.trigger(dag_id)

    def states(self, run: Run) -> dict[str, str | None]:
        """The tasks of a run and their states."""
        return {one.task_id: one.state for one in self.admin.task_instances(run.dag_id, run.run_id)}

    def finished(self, run: Run) -> Run:
        """Wait for the end of a run."""
        until(lambda: self.admin.run(run.dag_id, run.run_id).is_finished)
        return self.admin.run(run.dag_id, run.run_id)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something; an API that does not answer has not got there."""
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            if condition():
                return
        except EnvironmentProblem:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.3)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A stack with two DAGs."""
    root = tmp_path_factory.mktemp("site")
    (root / "dags").mkdir()
    (root / "dags" / "both.py").write_text(DAG.format(folder=str(root)))
    stack = Stack(root=root)
    stack.state.create()
    stack.state.remember(port=free_port())
    try:
        stack.up()
        with stack.api() as api:
            yield Site(stack=stack, folder=root, admin=api)
    finally:
        stack.destroy()


@pytest.fixture(scope="module")
def building(site: Site) -> Run:
    """A run whose first task has marked another and waits for the file `built`."""
    run = site.started("marks")
    until((site.folder / "marked").exists)
    return run


def test_tasks_are_marked_from_a_worker_and_from_outside(site: Site, building: Run) -> None:
    """What is green stays green, and what the run does not have is passed over."""
    marks, run_id = "marks", building.run_id
    with site.client() as api:
        assert site.states(building)["bronze.a.run"] == "success"
        states = site.states(building)
        unmarked = {"build", "silver.c.run"}
        waiting = {task for task, state in states.items() if task not in unmarked and state is None}
        done = dict.fromkeys((*waiting, "bronze.a.run", "gold.gone.run"), ("", ""))
        assert set(api.mark_done(marks, run_id, done)) == waiting
        assert api.mark_done(marks, run_id, done) == ()

        api.note(marks, run_id, "silver.c.run", "n" * 2000)
        found = site.admin.send("GET", f"/api/v2/dags/marks/dagRuns/{run_id}/taskInstances/silver.c.run")
        assert found["note"] == "n" * 999 + "…"
    assert not (site.folder / "ran").exists()
    (site.folder / "built").touch()
    assert site.finished(building).state == "success"
    tries = {one.task_id: one.try_number for one in site.admin.task_instances(marks, run_id)}
    assert {task_id for task_id, number in tries.items() if number} == {"build", "silver.c.run"}


def test_what_the_login_of_tasks_may_and_may_not(site: Site, building: Run) -> None:
    """It marks, but reads no connection; others are told what they lack, and that before they do harm."""
    secrets = site.stack.state.secrets()
    with site.client() as api:
        api.can_mark(building.dag_id)
        api.can_mark("not_parsed_yet")
        for path in ("connections", "variables", "pools"):
            with pytest.raises(ApiRefused) as refused:
                api.send(
                    "POST" if path == "pools" else "GET", f"/api/v2/{path}", body={"name": "x", "slots": 1}
                )
            assert refused.value.status == 403, path
    with site.client(Login(user=TASKS_USER, password="wrong")) as api, pytest.raises(ApiRefused) as refused:
        api.can_mark(building.dag_id)
    assert refused.value.status == 401
    assert "Invalid credentials" in refused.value.message
    now = int(time.time())
    claims = {"sub": "v", "role": "viewer", "teams": None, "aud": "apache-airflow", "iat": now, "nbf": now}
    viewer = jwt.encode({**claims, "exp": now + 60}, secrets.jwt, algorithm="HS512")
    with site.client(Login(token=viewer)) as api:
        assert api.run(building.dag_id, building.run_id).run_id == building.run_id
        with pytest.raises(ApiRefused) as refused:
            api.can_mark(building.dag_id)
        assert refused.value.status == 403
    elsewhere = RestClient(f"{site.admin.base_url}/nothing/here", Login(token=viewer))
    with elsewhere as api, pytest.raises(EnvironmentProblem):
        api.can_mark(building.dag_id)


def test_check_tells_what_the_tasks_lack(
    site: Site, building: Run, settings_for: Callable[[Path], Settings], tmp_path: Path
) -> None:
    """Each fault is named, as a warning; a stack that is not up is none."""
    env = site.stack.env()
    given = json.loads(env[API_ACCESS])

    def marks(access: str) -> dict[str, str]:
        empty: dict[str, object] = {"connections": {}, "rights": {}, "types": []}
        asked = {"dags_dir": "", "files": [], "unread": False, **empty, "marks": [building.dag_id]}
        probe = Probe(tmp_path / "probe", asked, env={**env, API_ACCESS: access})
        found: dict[str, str] = probe.answers()["marks"][building.dag_id]
        return found

    assert marks(env[API_ACCESS])["status"] == "ok"
    tried = {
        "has a login that Airflow at": {**given, "password": "wrong"},
        "no connection": None,
        "no password": {**given, "password": ""},
        "does not answer": {**given, "port": 1},
    }
    for said, connection in tried.items():
        found = marks(json.dumps(connection) if connection else "")
        assert said in found["text"]
        assert found["status"] == "warn"
        assert "docs/api-access.md" in found["hint"]
        assert given["password"] not in found["text"]
    not_up = settings_for(tmp_path)
    assert only_local_airflow_knows(not_up, local_stack(not_up).env())
    here = replace(settings_for(site.folder), state_dir=site.stack.state.path)
    assert not only_local_airflow_knows(here, env)


def test_no_secret_is_in_a_log(site: Site, building: Run) -> None:
    """Neither a password nor a token is in what the tasks and the components have written."""
    password = site.stack.state.secrets().tasks_password

    def logs() -> dict[Path, str]:
        return {file: file.read_text(errors="replace") for file in site.stack.state.logs.rglob("*.log")}

    until(lambda: any("marked ('bronze.a.run',)" in text for text in logs().values()))
    written = logs()
    assert [file for file, text in written.items() if password in text or '"access_token"' in text] == []
    assert [file for file, text in written.items() if "Bearer ey" in text] == []
    [task] = [
        text for file, text in written.items() if f"run_id={building.run_id}/task_id=build" in str(file)
    ]
    assert "HTTP Request" not in task


@pytest.mark.parametrize("kind", ["frozen", "killed"])
def test_a_task_outlives_an_api_server_that_is_away(site: Site, kind: str) -> None:
    """For half a minute, whether requests to it are refused or hang."""
    for name in ("sleeping", "awake"):
        (site.folder / name).unlink(missing_ok=True)
    run = site.started("outage")
    until((site.folder / "sleeping").exists)
    supervisor = Record.read(site.stack.state).supervisor
    server = Record.read(site.stack.state).components["api-server"]
    assert supervisor is not None
    assert server is not None
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    os.kill(supervisor.pid, signal.SIGSTOP)
    try:
        for one in processes:
            one.send_signal(signal.SIGKILL if kind == "killed" else signal.SIGSTOP)
        time.sleep(OUTAGE / 2)
        (site.folder / "awake").touch()  # and now the task itself wants an answer
        time.sleep(OUTAGE / 2)
    finally:
        for one in processes:
            if kind == "frozen":
                one.send_signal(signal.SIGCONT)
        os.kill(supervisor.pid, signal.SIGCONT)
    assert site.finished(run).state == "success"
    [task] = site.admin.task_instances(run.dag_id, run.run_id)
    assert task.try_number == 1
    said = f"/api/v2/dags/outage/dagRuns/{run.run_id}/taskInstances/survive/xcomEntries/said"
    assert site.admin.send("GET", said)["value"] == "alive"
