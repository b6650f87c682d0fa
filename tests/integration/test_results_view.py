"""What dbt said about a node, in a real Airflow: its page, its JSON and `goldsmith logs`, for those who may."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg
import pytest

from goldsmith.client.parsed import wait_until_parsed
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import ConfigurationError
from goldsmith.rest.transport import run_path
from goldsmith.results.record import FailingRows, NodeResult
from goldsmith.results.store import ResultStore
from goldsmith.stack.stack import Stack

pytestmark = pytest.mark.integration

DAG_FILE = """\
\"\"\"Airflow DAG: the shop.\"\"\"

from goldsmith import Pipeline, build_dag

shop = build_dag(Pipeline(name="shop"))
"""
NODE, TEST, GATE = "silver.orders.run", "bronze.stg_orders.unique_id", "bronze.gate"
UNTOUCHED = "gold.tests.assert_revenue_is_orders"


@dataclass(frozen=True)
class Kept:
    """A run of the shop of which some results are kept; the DAG is paused, so nothing in it ever ran."""

    stack: Stack
    run_id: str
    store: ResultStore

    def get(self, kind: str, task_id: str, *, run_id: str = "", is_anonymous: bool = False) -> httpx.Response:
        """Ask for a page (`task`) or its JSON (`results`)."""
        with self.stack.api() as api:
            token = {} if is_anonymous else {"Authorization": f"Bearer {api._bearer()}"}
        ids = "/".join(quote(part, safe="") for part in ("shop", run_id or self.run_id, task_id))
        return httpx.get(
            f"http://127.0.0.1:{self.stack.port}/goldsmith/{kind}/{ids}", headers=token, trust_env=False
        )

    def logs(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Call `goldsmith logs`."""
        return subprocess.run(
            [sys.executable, "-m", "goldsmith.cli", "logs", *arguments],
            cwd=self.stack.root,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def kept(
    shop: DbtProject,
    copied: Callable[[DbtProject, Path], DbtProject],
    result: Callable[..., NodeResult],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Kept]:
    """A model that failed and was built again, whose task was marked; and a test that failed."""
    root = tmp_path_factory.mktemp("kept_shop")
    copied(shop, root / "dbt_project")
    (root / "dags").mkdir()
    (root / "dags" / "shop.py").write_text(DAG_FILE)
    stack = Stack(root=root)
    try:
        stack.up()
        store = ResultStore(stack.env()["GOLDSMITH_RESULTS_PATH"])
        with stack.api() as api:
            wait_until_parsed(api, "shop", stack.dags_dir, changed=None)
            run_id = api.trigger("shop").run_id
            task = f"/api/v2/dags/shop/dagRuns/{quote(run_id, safe='')}/taskInstances/{NODE}"
            api.send("PATCH", task, body={"new_state": "success"})
        failed = result(status="error", message="column <b>amount</b> does not exist", rows=None)
        store.write("shop", run_id, [failed], append=False)
        store.write("shop", run_id, [result(message="SELECT 7")], append=True)
        rows = FailingRows(columns=("unique_field",), rows=(("17",),))
        test = result(unique_id="test.shop.u", task_id=TEST, kind="test", status="fail", failing_rows=rows)
        store.write("shop", run_id, [test], append=False)
        yield Kept(stack=stack, run_id=run_id, store=store)
    finally:
        stack.down()
        stack.server.destroy()


@pytest.mark.parametrize("kind", ["task", "results"])
@pytest.mark.parametrize("task_id", [NODE, "nobody"])
def test_who_is_not_logged_in_sees_nothing(kept: Kept, kind: str, task_id: str) -> None:
    """Not even whether there is such a task."""
    answer = kept.get(kind, task_id, is_anonymous=True)
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Not authenticated"}


def test_a_task_that_was_marked_and_never_ran_has_its_page(kept: Kept) -> None:
    """With both times dbt was at it, as text, under a policy that lets nothing else in."""
    answer = kept.get("task", NODE)
    assert answer.status_code == 200
    assert "SELECT 7" in answer.text
    assert "column &lt;b&gt;amount&lt;/b&gt; does not exist" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"


def test_a_tasks_page_tells_how_long_it_took_in_the_runs_before(kept: Kept) -> None:
    """Of those that are kept and can be read."""
    body = {"logical_date": None, "run_after": "2026-01-01T00:00:00Z", "dag_run_id": "before~1"}
    with kept.stack.api() as api:
        api.send("POST", "/api/v2/dags/shop/dagRuns", body=body)
        api.send("POST", "/api/v2/dags/shop/dagRuns", body={**body, "dag_run_id": "unreadable"})
    (latest, *_) = kept.store.read("shop", kept.run_id, NODE)[::-1]
    kept.store.write("shop", "before~1", [replace(latest, seconds=75.0, rows=0)], append=False)
    kept.store.write("shop", "unreadable", [latest], append=False)
    Path(kept.store.location("shop", "unreadable", NODE)).write_text("{")
    page = kept.get("task", NODE).text
    assert "In the runs before" in page
    row = page[page.index("before~1") :]
    assert "<td>1 min 15 s</td><td>0</td>" in row[: row.index("</tr>")]
    assert "unreadable" not in page
    assert "In the runs before" not in kept.get("task", NODE, run_id="before~1").text


def test_the_tab_is_offered_on_task_instances(kept: Kept) -> None:
    """As Airflow's own API tells its web page."""
    with kept.stack.api() as api:
        (plugin,) = (p for p in api.send("GET", "/api/v2/plugins")["plugins"] if p["name"] == "goldsmith")
    offered = {(view["destination"], view["url_route"]) for view in plugin["external_views"]}
    reports = ("dbt-report", "elementary-report", "dbt-docs")
    assert offered == {("task_instance", "dbt-result"), *(("dag_run", name) for name in reports)}


@pytest.mark.parametrize(
    ("task_id", "run_id", "status", "said"),
    [
        (GATE, "", 200, "Nothing is kept"),
        ("nobody", "", 404, "nobody"),
        (NODE, "no-run", 404, "no-run"),
        ("../../../../etc/passwd", "", 404, ""),
        ("..", "", 404, ""),
    ],
)
def test_what_is_not_there_is_told(kept: Kept, task_id: str, run_id: str, status: int, said: str) -> None:
    """A page that names what was looked at; an id that looks like a path finds nothing."""
    page, document = kept.get("task", task_id, run_id=run_id), kept.get("results", task_id, run_id=run_id)
    assert (page.status_code, document.status_code) == (status, status)
    assert said in page.text
    if status == 200:
        assert kept.store.location("shop", kept.run_id, task_id) in page.text
        assert document.json()["records"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "task/{dag}/{run}/a"),
        ("GET", "results/{dag}/{run}/a"),
        ("GET", "report/{dag}/{run}/report.html"),
        ("GET", "reports/{dag}/{run}"),
        ("POST", "marks/{dag}/{run}"),
        ("POST", "assets/{dag}/{run}/a"),
    ],
)
def test_every_answer_has_the_headers_of_a_page_and_nul_leads_nowhere(
    kept: Kept, method: str, path: str
) -> None:
    """Without a login, of what is not there, and of ids that no database can hold."""
    with kept.stack.api() as api:
        token = {"Authorization": f"Bearer {api._bearer()}"}
    with httpx.Client(base_url=f"{kept.stack.url}/goldsmith/", trust_env=False) as client:
        run_id, missing = quote(kept.run_id, safe=""), path.format(dag="shop", run="none")
        for address, login, status in (
            (missing, {}, {401}),
            (missing, token, {200, 404, 422}),
            (path.format(dag="shop", run="a%00b"), token, {404}),
            (path.format(dag="sh%00p", run=run_id), token, {404}),
        ):
            answer = client.request(method, address, headers=login, json={"tasks": [], "uris": []})
            assert answer.status_code in status, (address, answer.text)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_goldsmith_logs_prints_what_dbt_said(kept: Kept) -> None:
    """By name, unique id or task id; here and through a named Airflow; as text and as JSON."""
    for name in ("orders", "model.shop.orders", NODE):
        done = kept.logs(name)
        assert done.returncode == 0, done.stderr
        assert "SELECT 7" in done.stdout
        assert "Before: error" in done.stdout
    login = kept.stack.login
    named = {"GOLDSMITH_AIRFLOW_URL": kept.stack.url, "GOLDSMITH_AIRFLOW_PASSWORD": login.password}
    document = json.loads(kept.logs(TEST, "--json", "--run", kept.run_id, **named).stdout)
    assert (document["task_id"], document["run_id"]) == (TEST, kept.run_id)
    (record,) = map(NodeResult.from_dict, document["records"])
    assert record == kept.store.read("shop", kept.run_id, TEST)[0]


def test_goldsmith_logs_says_why_it_has_nothing(kept: Kept) -> None:
    """A mistyped name gets near ones; a gate, its task's log; a damaged file is named."""
    mistyped = kept.logs("ordesr")
    assert mistyped.returncode == 2
    assert "Did you mean orders" in mistyped.stderr
    gate = kept.logs(GATE)
    assert gate.returncode == 0, gate.stderr
    assert kept.store.location("shop", kept.run_id, GATE) in gate.stderr
    damaged = Path(kept.store.location("shop", kept.run_id, "gold.revenue.v1.run"))
    damaged.write_text('{"records": [{')
    assert kept.get("task", "gold.revenue.v1.run").status_code == 503
    assert str(damaged) in kept.logs("gold.revenue.v1.run").stderr


def test_a_mark_sets_what_has_no_state_and_keeps_dbts_own_times(kept: Kept) -> None:
    """A person's decision stands; the audit log says who marked how many."""
    begun, ended = "2026-01-01T10:00:00+00:00", "2026-01-01T10:00:07+00:00"
    decided, free = "gold.revenue.v1.run", "gold.revenue.v2.run"
    with kept.stack.api() as api:
        path = f"{run_path('shop', kept.run_id)}/taskInstances/{decided}"
        api.send("PATCH", path, body={"new_state": "failed"})
        times = dict.fromkeys((decided, free, "no.such.task"), (begun, ended))
        assert api.mark_done("shop", kept.run_id, times) == (free,)
        assert api.mark_done("shop", kept.run_id, times) == ()
        tasks = {task.task_id: task for task in api.task_instances("shop", kept.run_id)}
        log = api.send("GET", "/api/v2/eventLogs", query={"event": "goldsmith_marks"})["event_logs"]
    assert tasks[decided].state == "failed"
    found = tasks[free]
    assert (found.state, found.try_number) == ("success", 0)
    assert found.started is not None
    assert (found.started.isoformat(), found.ended and found.ended.isoformat()) == (begun, ended)
    assert [(one["run_id"], one["owner"], one["extra"]) for one in log] == [
        (kept.run_id, "admin", '{"tasks": 1}')
    ]


def test_a_gate_is_set_only_if_all_that_it_judges_is_green(kept: Kept) -> None:
    """With the last marks, once in a run; a red task among them, or one without a state, leaves it to its own task."""
    red, green, task_id = "gold.revenue.v1.run", "silver.orders.run", "gold.gate"
    gate = {"task_id": task_id, "verdict": {"verdict": "pass"}}
    with kept.stack.api() as api:
        # Before the run that other tests look for as the latest.
        run_id = "judged"
        body = {"logical_date": None, "run_after": "2026-01-02T00:00:00Z", "dag_run_id": run_id}
        api.send("POST", "/api/v2/dags/shop/dagRuns", body=body)
        # In this order: Airflow clears what failed below a task that is set to success.
        for task, state in ((green, "success"), (red, "failed")):
            path = f"{run_path('shop', run_id)}/taskInstances/{task}"
            api.send("PATCH", path, body={"new_state": state})

        def set_with(**more: object) -> tuple[str, ...]:
            return api.mark_done("shop", run_id, {}, {**gate, **more})

        for other in (red, "silver.gate", "no.such.task"):
            assert set_with(judged=[green, other]) == ()
        # An asset that Airflow does not know of cannot be updated here: the gate's own task has to.
        assert set_with(judged=[green], assets=["goldsmith://no/such"], memory={"assets": {}}) == ()
        assert api.xcom("shop", run_id, task_id) is None
        assert set_with(judged=[green]) == (task_id,)
        assert api.xcom("shop", run_id, task_id) == {"verdict": "pass"}
        # Whoever got no answer asks again.
        assert set_with(judged=[green]) == (task_id,)
        states = {task.task_id: task.state for task in api.task_instances("shop", run_id)}
    assert (states[task_id], states[red], states["silver.gate"]) == ("success", "failed", None)


def test_a_comparison_is_set_only_by_a_build_that_runs_and_if_all_is_green(kept: Kept) -> None:
    """A run that is cancelled meanwhile, or a node that was built again, leaves it to its task."""
    run_id, build, compares, green = "compared", "silver.build", "silver.reconcile", "silver.orders.run"
    with (
        kept.stack.api() as api,
        psycopg.connect(kept.stack.server.conninfo("airflow"), autocommit=True) as session,
    ):
        body = {"logical_date": None, "run_after": "2026-01-03T00:00:00Z", "dag_run_id": run_id}
        api.send("POST", "/api/v2/dags/shop/dagRuns", body=body)

        def be(state: str | None, *, task_id: str = build, try_number: int = 1) -> None:
            session.execute(
                "update task_instance set state = %s, try_number = %s, end_date = '2026-01-03T10:00:00Z'"
                " where dag_id = 'shop' and run_id = %s and task_id = %s",
                (state, try_number, run_id, task_id),
            )

        def is_set(*more: str, at: str = "2026-01-03T10:00:01Z") -> bool:
            asked = {"task_id": compares, "build": build, "try_number": 1, "green": [green, *more]}
            return api.mark_compared("shop", run_id, {**asked, "started": at, "ended": at})

        for state in ("failed", "success", "skipped", "up_for_retry", None):
            be("success", task_id=green, try_number=0)
            be(state)
            assert not is_set()
        be("running", try_number=2)
        assert not is_set()
        be("running")
        assert not is_set("bronze.stg_orders.run")
        assert not is_set(at="2026-01-03T09:59:59Z")
        for state in ("running", "failed", None):
            be(state, task_id=green)
            assert not is_set()
        be("success", task_id=green)
        be(None, task_id=compares, try_number=1)
        assert not is_set()
        be(None, task_id=compares, try_number=0)
        assert is_set()
        assert not is_set()
        states = {task.task_id: task.state for task in api.task_instances("shop", run_id)}
        be("success")
    assert states[compares] == "success"


def test_who_may_not_edit_tasks_may_not_mark(kept: Kept) -> None:
    """Nor does anybody without a login."""
    path = f"http://127.0.0.1:{kept.stack.port}/goldsmith/marks/shop/{quote(kept.run_id, safe='')}"
    body = {"tasks": [{"task_id": UNTOUCHED}]}
    assert httpx.post(path, json=body, trust_env=False).status_code == 401
    with kept.stack.api() as api:
        task = f"/api/v2/dags/shop/dagRuns/{quote(kept.run_id, safe='')}/taskInstances/{UNTOUCHED}"
        assert api.send("GET", task)["state"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tasks": [{"task_id": "a", "started": "yesterday"}]},
        {"tasks": [{"task_id": "a"}] * 1001},
        {"tasks": [{"task_id": "a\x00b"}]},
    ],
)
def test_a_mark_that_makes_no_sense_is_refused(kept: Kept, body: dict[str, object]) -> None:
    """Before anything is looked up."""
    with kept.stack.api() as api, pytest.raises(ConfigurationError, match="did not accept"):
        api.send("POST", f"/goldsmith/marks/shop/{quote(kept.run_id, safe='')}", body=body)
