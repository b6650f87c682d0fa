from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.report.conftest import START, MakeRun, planned

from goldsmith.report.facts import NODE_BAD, NODE_GOOD, RunFacts
from goldsmith.report.lineage import MOST, lineage, longest_chain
from goldsmith.report.page import CONTENT_SECURITY_POLICY, report_page
from goldsmith.report.past import RUNS, Past
from goldsmith.report.summary import Summary
from goldsmith.report.timeline import timeline
from goldsmith.results.record import FailingRows, NodeResult

Ended = Callable[..., NodeResult]
EVIL = "<img src=x onerror=alert(1)>'\"</pre></script></style>"


class Elements(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, tuple[str, ...]]] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element with the names of its attributes."""
        self.found.add((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def _page(run: RunFacts, before: RunFacts | None = None) -> str:
    earlier = [Summary.of(before).after(())] if before else []
    past = Past.of(Summary.of(run), earlier)
    return report_page(run, past=past, airflow_url="http://airflow:8080", dbt="1.12.0")


def _bad_run(make_run: MakeRun, ended: Ended, text: str) -> RunFacts:
    model = planned(text, "bronze", task_id="bronze.a.run")
    test = planned(f"t{text}", "bronze", "bronze.a.run", kind="test", task_id="bronze.t.run")
    rows = FailingRows(columns=(text,), rows=((text,),))
    said = {"message": text, "command": text, "failing_rows": rows, "failures": 2}
    return make_run(
        [model, test],
        [ended(model, "error", **said), ended(model, "error", **said), ended(test, "warn", **said)],
        {"bronze.a.run": "failed", text: "failed"},
        run_id=text,
    )


@given(text=st.one_of(st.just(EVIL), st.text("<>&'\"/ab", min_size=2)))
def test_nothing_that_dbt_or_a_row_says_becomes_markup(make_run: MakeRun, ended: Ended, text: str) -> None:
    """Names, messages, commands, rows, ids: all of it stays text."""
    harmless = _bad_run(make_run, ended, "plain")
    page = Elements(_page(_bad_run(make_run, ended, text), _bad_run(make_run, ended, "plain")))
    plain = Elements(_page(harmless, _bad_run(make_run, ended, "other")))
    assert page.found <= plain.found
    assert page.text.count(text) >= 8


def test_the_page_allows_its_own_style_and_script_and_nothing_else(make_run: MakeRun, ended: Ended) -> None:
    """Also where it is opened as a file, by its own head; and it links to Airflow alone."""
    page = _page(_bad_run(make_run, ended, "plain"))
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', page)
    for element, directive in (("style", "style-src"), ("script", "script-src")):
        (inlined,) = re.findall(f"<{element}>(.*?)</{element}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inlined.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy.replace("&#39;", "'")
        assert f"{directive} 'sha256-{digest}'" in CONTENT_SECURITY_POLICY
    assert " style=" not in page  # the policy would not let it count
    assert set(re.findall(r"[a-z]+://[a-z0-9.:]+", page)) == {"http://airflow:8080"}


@pytest.fixture(scope="module")
def large(make_run: MakeRun, ended: Ended) -> RunFacts:
    """1,000 models with two tests each, of which one test in ten failed with rows and a long message."""
    nodes, records, states = [], [], {}
    for number in range(1000):
        before = [f"bronze.stg_orders_by_customer_and_day_{number - 1:04}.run"] if number % 9 else []
        model = planned(f"stg_orders_by_customer_and_day_{number:04}", "bronze", *before)
        nodes.append(model)
        records.append(ended(model, "success", after=number / 10, seconds=0.4))
        for test in ("unique", "not_null"):
            name = f"{test}_{model.name}"
            node = planned(name, "bronze", model.task_id, kind="test")
            nodes.append(node)
            rows = FailingRows(columns=tuple("abcdef"), rows=(("x" * 400,) * 6,) * 100)
            is_bad = number % 10 == 0
            more = {"message": "m" * 9000, "failing_rows": rows, "failures": 100} if is_bad else {}
            records.append(
                ended(node, "fail" if is_bad else "pass", after=number / 10 + 0.4, seconds=0.1, **more)
            )
            states[node.task_id] = "failed" if is_bad else "success"
    return make_run(nodes, records, states)


@pytest.fixture(scope="module")
def twenty(large: RunFacts) -> Past:
    """The runs before it, in each of which other nodes failed, and all took another time."""
    now, earlier = Summary.of(large), list[Summary]()
    for day in range(RUNS):
        nodes = {
            uid: one._replace(
                condition=NODE_BAD if (number + day) % RUNS == 0 else NODE_GOOD,
                seconds=one.seconds * (1 + number * day % 7),
            )
            for number, (uid, one) in enumerate(now.nodes.items())
        }
        run = replace(
            now, run_id=f"r{day}", started=(START - timedelta(days=RUNS - day)).isoformat(), nodes=nodes
        )
        earlier.insert(0, run.after(earlier[:1]))
    return Past.of(now, [Summary.unpack(one.pack()) for one in earlier])


def test_a_thousand_models_stay_below_two_megabytes(large: RunFacts, twenty: Past) -> None:
    """Whatever failed, however long the messages and rows are, and with twenty runs of each node; in no time."""
    began = time.process_time()
    page = report_page(large, past=twenty, airflow_url="http://airflow:8080", dbt="1.12.0")
    assert time.process_time() - began < 2
    assert len(page.encode()) < 2_000_000
    assert "150 other failures" in page
    picture, chart = lineage(large), timeline(large)
    assert picture is not None
    assert (len(picture.boxes), picture.total) == (MOST, 1000)
    assert chart is not None
    assert len(chart.bars) == 3000
    assert chart.height < 400


def test_what_ran_at_once_stands_in_different_lanes(make_run: MakeRun, ended: Ended) -> None:
    """And as few of them as were needed; a bar lies where its time was."""
    a, b, c = (planned(name, "bronze") for name in "abc")
    run = make_run(
        [a, b, c],
        [ended(a, "success", seconds=4), ended(b, "error", after=2, seconds=8), ended(c, "success", after=5)],
    )
    chart = timeline(run)
    assert chart is not None
    bars = {bar.title.split(":")[0]: bar for bar in chart.bars}
    assert bars["a"].y == bars["c"].y != bars["b"].y
    assert [(bars[name].x, bars[name].width, bars[name].style) for name in "abc"] == [
        (0, 400, "good"),
        (200, 800, "bad"),
        (500, 100, "good"),
    ]
    assert timeline(make_run([a], [])) is None


def test_lines_lead_from_what_is_read_to_what_reads_it(make_run: MakeRun, ended: Ended) -> None:
    """In columns by depth; the longest chain is the one that took the most time."""
    a, b = planned("a", "bronze"), planned("b", "bronze")
    c = planned("c", "silver", a.task_id, b.task_id)
    run = make_run([a, b, c], [ended(a, "success"), ended(b, "success", seconds=5), ended(c, "success")])
    picture = lineage(run)
    assert picture is not None
    columns = {box.label: box.x for box in picture.boxes}
    assert columns["a"] == columns["b"] < columns["c"]
    assert len(picture.lines) == 2
    assert [node.node.name for node in longest_chain(run)] == ["b", "c"]


def test_a_run_of_which_nothing_is_known_has_a_page_too(make_run: MakeRun) -> None:
    """It was cancelled before dbt began."""
    page = _page(
        make_run([planned("a", "bronze")], [], {"bronze.a.run": "skipped", "bronze.build": "failed"})
    )
    assert "not run" in page
    assert "bronze.build" in page
