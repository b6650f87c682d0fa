"""The page shows everything as text, is held to what it brings along, and says why there is nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldsmith.errors import EnvironmentProblem
from goldsmith.results.record import FailingRows, NodeResult
from goldsmith.view.page import CONTENT_SECURITY_POLICY, Shown, failed_page, missing_page, result_page

Make = Callable[..., NodeResult]
EVIL = "<img src=x onerror=alert(1)>'\"</pre></script>"


class Elements(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def _shown(*records: NodeResult, state: str = "success") -> Shown:
    return Shown(
        dag_id="shop", run_id="r+1", task_id="silver.orders.run", state=state, path="/x/y", records=records
    )


@given(text=st.one_of(st.just(EVIL), st.text("<>&'\"/ab ", min_size=1)))
def test_nothing_that_dbt_or_a_row_says_becomes_markup(result: Make, text: str) -> None:
    """Every text of a record, and every id of an address, stays text."""
    texts = ("unique_id", "status", "message", "command", "built_by", "started", "relation", "compiled_sql")
    rows = FailingRows(columns=(text,), rows=((text,),))
    record = result(lines=(text,), failing_rows=rows, failures=2, **dict.fromkeys(texts, text))
    page = Elements(result_page(_shown(record, record)))
    plain = Elements(result_page(_shown(result(status="fail", failing_rows=rows, failures=2), result())))
    assert page.found <= plain.found
    assert page.attributes <= plain.attributes
    assert page.text.count(text) >= 2 * len(texts)
    shown = Shown(dag_id=text, run_id=text, task_id=text, state=text, path=text)
    for other in (
        result_page(shown),
        missing_page(text, text, text),
        failed_page(EnvironmentProblem(text), shown),
    ):
        assert Elements(other).found <= plain.found | {"ul", "li", "p", "code"}
        assert text in Elements(other).text


def test_the_policy_allows_the_page_its_own_style_and_script_and_nothing_else(result: Make) -> None:
    """A browser would refuse them if a template changed a byte of either."""
    page = result_page(_shown(result()))
    for element, directive in (("style", "style-src"), ("script", "script-src")):
        (inlined,) = re.findall(f"<{element}>(.*?)</{element}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inlined.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    assert "://" not in page


def test_a_node_that_ran_twice_shows_both_times(result: Make) -> None:
    """The latest in full, the earlier one below, failing rows with how many there are in all."""
    rows = FailingRows(columns=("id",), rows=(("17",),))
    first = result(status="fail", message="Got 31 results", failures=31, failing_rows=rows, seconds=75.0)
    text = Elements(result_page(_shown(first, result(message="PASS")))).text
    assert text.index("PASS") < text.index("Earlier in this run") < text.index("Got 31 results")
    assert "Failing rows, 1 of 31" in text
    assert "1 min 15 s" in text
    assert "2026-11-20 13:00:00 UTC" in text


def test_the_runs_before_stand_below_each_node_that_was_in_them(result: Make) -> None:
    """What another node of the task did is no news of this one."""
    before = (
        ("r<3>", (result(seconds=3.5), result(status="error", rows=None, seconds=75.0))),
        ("empty", ()),
        ("other", (result(unique_id="model.shop.another_one"),)),
    )
    shown = replace(_shown(result()), before=before)
    text = Elements(result_page(shown)).text
    assert "In the runs before" in text
    assert "r<3>error2026-11-20 13:00:00 UTC1 min 15 s" in text
    assert "empty" not in text
    assert "other" not in text
    assert "In the runs before" not in result_page(_shown(result()))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("success", "GOLDSMITH_RESULTS_PATH"),
        ("failed", "GOLDSMITH_RESULTS_PATH"),
        ("running", "not finished it yet"),
        ("", "not finished it yet"),
        ("upstream_failed", "did not get to it"),
    ],
)
def test_where_nothing_is_kept_the_page_says_where_it_looked_and_why(state: str, said: str) -> None:
    """By the state of the task, so that nobody looks for a mount that is not missing."""
    page = result_page(_shown(state=state))
    assert "/x/y" in page
    assert said in page
