"""The report of a run in a real browser, on a desktop and on a phone: read from a file, without Airflow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.unit.report.conftest import START, plan_of, planned

from goldsmith.gates.verdict import Verdict
from goldsmith.plan.model import Plan
from goldsmith.plan.preview import RUN, Choice
from goldsmith.report.dry_run import dry_run_page
from goldsmith.report.facts import RunFacts, run_facts
from goldsmith.report.page import report_page
from goldsmith.report.past import Past
from goldsmith.report.summary import Summary
from goldsmith.results.record import FailingRows, NodeResult

pytestmark = pytest.mark.integration

MakeResult = Callable[..., NodeResult]
NAME = "stg_orders_with_everything_that_was_ever_written_about_them_by_anybody_{:02}"
ERROR = 'column "amout" does not exist'
# Elements that hold more than they show, and how: with a sign, or without one.
CUT = """() => [...document.querySelectorAll("body *")].filter((one) => !one.closest("svg") && one.clientWidth
  && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)).filter((one) => {
    const style = getComputedStyle(one), isWide = one.scrollWidth > one.clientWidth + 1;
    const flow = isWide ? style.overflowX : style.overflowY;
    return style.display !== "inline" && !(flow === "visible" && !isWide)
      && !(flow === "auto" && style.backgroundImage.includes("gradient"));
  }).map((one) => `${one.tagName}.${one.className}: ${one.textContent.trim().slice(0, 60)}`)"""


def plan() -> Plan:
    """Twelve models with a test each in bronze; in silver what reads them. The gate stands between."""
    models = [planned(NAME.format(number), "bronze") for number in range(12)]
    tests = [planned(f"unique_{one.name}", "bronze", one.task_id, kind="test") for one in models]
    below = [planned(f"orders_{number:02}", "silver") for number in range(30)]
    made = plan_of([*models, *tests, *below])
    gates = tuple(
        replace(gate, upstream=tuple(one.task_id for one in (*models, *tests)))
        if gate.layer == "bronze"
        else gate
        for gate in made.gates
    )
    builds = tuple(
        replace(one, upstream=("bronze.gate",)) if one.name == "silver" else one for one in made.builds
    )
    return replace(made, gates=gates, builds=builds)


def run(result: MakeResult, *, day: int, is_red: bool) -> RunFacts:
    """A run; in a red one two models share an error, a test found rows, and the gate blocks."""
    start = START + timedelta(days=day)
    made, states, records = plan(), dict[str, str | None](), dict[str, list[NodeResult]]()
    for number, node in enumerate(made.nodes):
        is_held = is_red and node.layer == "silver"
        times = {
            "started": (start + timedelta(seconds=number)).isoformat(),
            "ended": (start + timedelta(seconds=number + 2 + day % 3)).isoformat(),
            "seconds": 2.0 + day % 3,
        }
        ids = {"unique_id": node.unique_id, "task_id": node.task_id, "kind": node.kind}
        status = "skipped" if is_held else "pass" if node.kind == "test" else "success"
        records[node.task_id] = [result(**{**ids, **times, "status": status, "message": ""})]
        states[node.task_id] = "upstream_failed" if is_held else "success"
    red = [f"bronze.{NAME.format(number)}.run" for number in (0, 1)] if is_red else []
    for task_id in red:
        said = (
            f"Database Error in model {task_id} (models/x.sql)\n  {ERROR}\n  LINE 3: select amout\n"
            + "\n" * 9
        )
        sql = "select " + ", ".join(f"a_column_with_a_long_name_{number}" for number in range(40))
        records[task_id][0] = replace(records[task_id][0], status="error", message=said, compiled_sql=sql)
        states[task_id] = "failed"
    if is_red:
        rows = FailingRows(
            columns=tuple(f"column_{one}" for one in range(20)), rows=(tuple("x" * 90 for _ in range(20)),)
        )
        task_id = f"bronze.unique_{NAME.format(2)}.run"
        records[task_id][0] = replace(
            records[task_id][0], status="fail", message="Got 3 results", failing_rows=rows, failures=3
        )
        states[task_id] = "failed"
        red.append(task_id)
    verdict = Verdict(
        layer="bronze",
        verdict="block" if is_red else "pass",
        rules=(),
        counts={},
        stopped_by=dict.fromkeys(red, "failed"),
    )
    return run_facts(
        made,
        run_id=f"scheduled__{start.isoformat()}",
        started=start,
        made=start + timedelta(seconds=90),
        states={
            **states,
            "bronze.gate": "failed" if is_red else "success",
            "silver.gate": "upstream_failed" if is_red else "success",
        },
        records=records,
        verdicts={"bronze.gate": verdict},
    )


@pytest.fixture(scope="module")
def report(result: MakeResult, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the page of a run that is red for the third time."""
    earlier: list[Summary] = []
    for day in range(24):
        earlier.insert(0, Summary.of(run(result, day=day, is_red=day in (5, 22, 23))).after(earlier))
    red = run(result, day=24, is_red=True)
    past = Past.of(Summary.of(red), earlier)
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report_page(red, past=past, airflow_url="http://airflow:8080", dbt="1.12.0"))
    return file.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        assert not os.environ.get("GOLDSMITH_CI"), "no chromium here"
        pytest.skip("no chromium here")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The page in a browser, and what the browser complained of or asked for."""

    page: Page
    height: int
    said: list[str]


@pytest.fixture(params=[(1280, 800), (390, 844)], ids=["desktop", "phone"])
def shown(request: pytest.FixtureRequest, browser: Browser, report: str) -> Iterator[Shown]:
    """The page, on a desktop and on a phone."""
    wide, high = request.param
    page = browser.new_page(viewport={"width": wide, "height": high})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: said.append(asked.url) if asked.url != report else None)
    page.goto(report)
    yield Shown(page=page, height=high, said=said)
    page.close()


def test_what_failed_is_on_the_first_screen(shown: Shown) -> None:
    """The error, the nodes that share it, since when; on a desktop also what it holds back and the command."""
    card = shown.page.locator("article").first
    expect(card.locator("header")).to_contain_text(ERROR)
    expect(card.locator("header")).to_contain_text("3 runs in a row, since 2026-12-18 03:00:00 UTC")
    expect(card.locator(".alike li")).to_have_count(2)
    expect(card.locator(".behind")).to_contain_text(
        "Holds back 30 nodes: silver 30, through the gate after bronze"
    )
    expect(card.locator(".names")).to_contain_text("orders_00 orders_01")
    expect(card.locator(".again code")).to_have_text("goldsmith run shop --failed ")
    box = (card if shown.height == 800 else card.locator("header")).bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= shown.height
    second = shown.page.locator("article").nth(1)
    expect(second.locator("header")).to_contain_text("3 runs in a row")
    expect(second).to_contain_text("failed in 4 of the last 20 runs; failing rows: 3 → 3 → 3 → 3")
    expect(second.locator(".again")).to_contain_text(
        f"goldsmith retry bronze.unique_{NAME.format(2)}.run --downstream"
    )
    expect(shown.page.locator("#changes + p")).to_contain_text(
        "3 nodes failed in both runs. Nothing else changed"
    )
    assert shown.said == []


def test_nothing_is_cut_off_without_a_sign(shown: Shown) -> None:
    """Also not in the lists that are closed at first; the page itself does not scroll sideways."""
    shown.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert shown.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert shown.page.evaluate(CUT) == []
    assert shown.page.locator(".rows, pre:not(.message)").count() >= 8


def test_nodes_are_found_by_name_kind_and_status(shown: Shown) -> None:
    """By several words at once; a number at the top of the page leads to its nodes."""
    page = shown.page
    rows, count = page.locator(".nodes tbody tr:visible"), page.locator("output")
    expect(rows).to_have_count(0)
    page.get_by_role("searchbox").fill("bronze test _07")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(f"unique_{NAME.format(7)}")
    expect(count).to_have_text("1 of 54 nodes")
    page.get_by_role("searchbox").fill("")
    expect(rows).to_have_count(0)
    page.get_by_label("failed in the last 20 runs").check()
    expect(count).to_have_text("3 of 54 nodes")
    page.locator("dd.held a").click()
    expect(count).to_have_text("30 of 54 nodes")
    expect(page.get_by_label("held back 30")).to_be_checked()
    first = rows.first
    expect(first.locator("a")).to_have_attribute(
        "href",
        "http://airflow:8080/dags/shop/runs/scheduled__2026-12-20T03%3A00%3A00%2B00%3A00"
        "/tasks/silver.orders_00.run/plugin/dbt-result",
    )
    assert shown.said == []


def test_the_last_runs_of_a_node_stand_beside_it(shown: Shown) -> None:
    """Twenty cells, the last ones red; the line of its duration; its first and its last failure."""
    shown.page.get_by_role("searchbox").fill(NAME.format(0))
    row = shown.page.locator(".nodes tbody tr:visible").first
    expect(row.locator(".strip path.bad")).to_have_attribute("d", "M0 5h4M68 5h12")
    expect(row.locator(".line path")).to_have_count(1)
    expect(row).to_contain_text("4\N{MULTIPLICATION SIGN}, first 2026-12-01 03:00, last 2026-12-20 03:00")
    expect(shown.page.locator("svg.runs rect")).to_have_count(20)


def test_without_its_script_the_page_shows_everything(browser: Browser, report: str) -> None:
    """What needs the script is not there."""
    page = browser.new_page(java_script_enabled=False)
    page.goto(report)
    expect(page.get_by_role("searchbox")).to_have_count(0)
    page.get_by_text("silver: 30").click()
    expect(page.locator(".nodes tbody tr:visible")).to_have_count(30)
    page.close()


def test_in_airflows_frame_links_stay_in_the_frame(browser: Browser, report: str, tmp_path: Path) -> None:
    """A node leads to what dbt said about it; what is outside the frame is no link."""
    outside = tmp_path / "outside.html"
    outside.write_text(f'<iframe src="{report}" width="900" height="900"></iframe>')
    page = browser.new_page()
    page.goto(outside.as_uri())
    inside = page.frame_locator("iframe")
    ids = "shop/scheduled__2026-12-20T03%3A00%3A00%2B00%3A00"
    expect(inside.locator(".alike a").first).to_have_attribute(
        "href", f"../../../task/{ids}/bronze.{NAME.format(0)}.run"
    )
    expect(inside.locator(".nodes a").first).to_have_attribute(
        "href", f"../../../task/{ids}/bronze.{NAME.format(0)}.run"
    )
    expect(inside.locator("a[data-outside][href]")).to_have_count(0)
    page.close()


def test_the_page_of_a_dry_run_has_the_script_too(browser: Browser, tmp_path: Path) -> None:
    """And nothing to search in."""
    file = tmp_path / "dry_run.html"
    asked = {"unique_id": "model.shop.a", "task_id": "bronze.a.run", "kind": "model", "layer": "bronze"}
    choices = [Choice(**asked, action=RUN, why="selected", seconds=1.5)]
    file.write_text(dry_run_page("shop", "manual__1", choices, {}))
    page = browser.new_page(viewport={"width": 390, "height": 844})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", name="Would run")).to_be_visible()
    assert said == page.evaluate(CUT) == []
    page.close()
