"""Questions that dbt's adapter answers: how they are put into a command, and how its answers are read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from goldsmith.dbt.inline import answers_in, inline_queries
from goldsmith.errors import EnvironmentProblem
from goldsmith.warehouse.other import jinja_text


def said(name: str, text: str) -> str:
    """A line of dbt's output."""
    return json.dumps({"info": {"name": name, "level": "info", "msg": text}, "data": {}})


def test_all_questions_that_fit_are_one_query_that_asks_only_with_a_warehouse() -> None:
    """dbt renders the text a first time to parse it."""
    [text] = inline_queries(["{% set answer = 1 + 1 %}", "{% set answer = 'b' %}"])
    printed: list[str] = []
    known = {"print": printed.append, "tojson": json.dumps}
    rendering = Environment(extensions=["jinja2.ext.do"])  # noqa: S701 - as dbt's
    assert rendering.from_string(text).render(execute=False, **known) == "select 1 as asked"
    assert printed == []
    rendering.from_string(text).render(execute=True, **known)
    assert answers_in([said("PrintEvent", printed[0])]) == [2, "b"]


def test_many_questions_are_asked_in_turns_and_one_that_is_too_long_is_refused() -> None:
    """Linux takes 128 KiB for one argument."""
    questions = [f"{{% set answer = '{number:05}{'x' * 20_000}' %}}" for number in range(10)]
    texts = list(inline_queries(questions))
    assert len(texts) == 3
    assert max(map(len, texts)) < 128 * 1024
    assert [text.count("answers.append") for text in texts] == [4, 4, 2]
    with pytest.raises(EnvironmentProblem, match="too long for dbt"):
        list(inline_queries(["x" * 100_000]))
    assert list(inline_queries([])) == []


def test_only_what_dbt_prints_is_an_answer() -> None:
    """The query itself stands in its log, and people print too."""
    mark = 'goldsmith-answers ["a"]'
    lines = [said("CompiledNode", f"... {mark}"), said("PrintEvent", f"I said {mark}"), "no JSON"]
    assert answers_in(lines) == []
    assert answers_in([*lines, said("PrintEvent", mark)]) == ["a"]


@given(st.text())
def test_any_text_is_itself_as_a_literal_of_jinja(text: str) -> None:
    """Whatever looks like Jinja in it, quotes, backslashes, line ends, emoji."""
    written = jinja_text(text)
    assert written.isascii()
    assert "\n" not in written
    found = Environment(keep_trailing_newline=True).from_string(f"{{{{ {written} }}}}")  # noqa: S701
    assert found.render() == text
