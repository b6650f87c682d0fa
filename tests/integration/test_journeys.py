"""What an operator does in Airflow's own pages, in a real browser: from a red run to a green one, a gate, a part."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from tests.integration.shared_lab import Lab, Seen

from goldsmith.rest import Run
from goldsmith.rest.transport import run_path

pytestmark = pytest.mark.integration

RATES = "bronze.rates.run"
_PATIENCE = 30_000.0  # milliseconds


@pytest.fixture(scope="module")
def page(watched: Lab) -> Iterator[Page]:
    """A page of a browser in which somebody has logged in."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        assert not os.environ.get("GOLDSMITH_CI"), "no chromium here"
        pytest.skip("no chromium here")
    passwords = json.loads(watched.stack.state.passwords_file.read_text())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        made = browser.new_page(
            base_url=f"http://localhost:{watched.stack.port}", viewport={"width": 1500, "height": 950}
        )
        made.set_default_timeout(_PATIENCE)
        expect.set_options(timeout=_PATIENCE)
        made.goto("/auth/login")
        made.fill("input[name=username]", "admin")
        made.fill("input[name=password]", passwords["admin"])
        made.click("button[type=submit]")
        made.get_by_role("link", name="Dags", exact=True).first.wait_for()
        yield made
        browser.close()


@pytest.fixture
def red(watched: Lab) -> Seen:
    """A run in which a model has failed; its cause is gone."""
    watched.control(["watched"], divisor=0)
    [seen] = watched.finished(watched.start(["watched"])).values()
    watched.control(["watched"], divisor=1)
    assert seen.run.state == "failed"
    return seen


def open_task(page: Page, run: Run, task_id: str) -> None:
    """Open the page of a task from that of its run."""
    page.goto(f"/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/{task_id}")
    expect(page.get_by_role("link", name="dbt", exact=True)).to_be_visible()


def test_a_failed_model_is_found_and_says_why(page: Page, red: Seen) -> None:
    """From the DAG: its groups, the red task in them, dbt's words in its tab."""
    page.goto("/dags/watched")
    page.get_by_role("button", name="Expand all task groups").click()
    page.locator(f"a[href*='{red.run.run_id}'][href$='/tasks/{RATES}']").first.click()
    page.get_by_role("link", name="dbt", exact=True).click()
    inside = page.frame_locator("iframe")
    expect(inside.get_by_text("division by zero").first).to_be_visible()
    expect(inside.get_by_text("dbt build --select fqn:lab.bronze.rates").first).to_be_visible()
    expect(inside.get_by_text("lab.rate(").first).to_be_visible()


def test_the_report_of_the_run_stands_in_its_tab(page: Page, red: Seen) -> None:
    """With what failed."""
    page.goto(f"/dags/watched/runs/{quote(red.run.run_id, safe='')}")
    page.locator("a[href$='/plugin/dbt-report']").click()
    inside = page.frame_locator("iframe")
    expect(inside.get_by_text("division by zero").first).to_be_visible()
    page.locator("a[href$='/plugin/elementary-report']").click()
    expect(
        page.frame_locator("iframe").get_by_text("package is not in the project's manifest").first
    ).to_be_visible()


def test_it_is_retried_alone_with_what_waits_for_it(watched: Lab, page: Page, red: Seen) -> None:
    """By *Clear* as Airflow offers it; nothing else is touched, and the run is green."""
    open_task(page, red.run, RATES)
    page.get_by_role("button", name="Press shift+c to clear").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("silver.priced.run")).to_be_visible()
    dialog.get_by_role("button", name="Confirm").click()
    watched.until(lambda: watched.see(red.run).states[RATES] == "success", "the model")
    after = watched.finished({"watched": red.run})["watched"]
    assert after.run.state == "success", after.not_green
    expected = {RATES, *watched.graph("watched").below([RATES])}
    assert set(after.built_since(red)) == expected
    expect(page.get_by_text("Success").first).to_be_visible()


def test_a_gate_that_asks_is_overridden_with_a_reason(watched: Lab, page: Page) -> None:
    """Without one the buttons do nothing; who it was and why stands in the verdict."""
    watched.control(["asked"], divisor=0)
    runs = watched.start(["asked"])
    run = runs["asked"]
    watched.until_state(run, "bronze.gate", "awaiting_input")
    watched.control(["asked"], divisor=1)
    open_task(page, run, "bronze.gate")
    page.get_by_role("link", name="Required Action").click()
    expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    page.locator("#element_reason").fill("known, ticket 42")
    page.get_by_role("button", name="Approve").click()
    seen = watched.finished(runs)["asked"]
    assert seen.run.state == "success", seen.not_green
    verdict = watched.api.xcom("asked", run.run_id, "bronze.gate")
    assert (verdict["override"]["decision"], verdict["override"]["by"]) == ("approved", "admin")
    assert verdict["override"]["reason"] == "known, ticket 42"


def test_a_run_of_a_part_is_started_with_the_form(watched: Lab, page: Page) -> None:
    """What is not selected is skipped."""
    watched.finished(watched.start(["watched"]))  # what the part reads
    before = {run.run_id for run in watched.api.runs("watched", limit=50)}
    page.goto("/dags/watched")
    page.get_by_role("button", name="Trigger Dag").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="What to build").click()
    dialog.locator("#element_select").fill("orders+")
    dialog.get_by_role("button", name="Trigger", exact=True).click()

    def started() -> list[Run]:
        return [run for run in watched.api.runs("watched", limit=5) if run.run_id not in before]

    watched.until(lambda: bool(started()), "the run")
    [run] = started()
    conf = watched.api.send("GET", run_path("watched", run.run_id))["conf"]
    assert conf["select"] == "orders+"
    seen = watched.finished({"watched": run})["watched"]
    assert seen.run.state == "success", seen.not_green
    assert seen.states["silver.orders.run"] == seen.states["gold.summary.run"] == "success"
    assert seen.states[RATES] == "skipped"
