"""What somebody writes into a dbt project becomes no program on a page."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt

from goldsmith.dbt.node import Column, Node
from goldsmith.plan.by_hand import Selection
from goldsmith.plan.docs import nodes_docs
from goldsmith.plan.markdown import block, code, link, plain, prose

HOSTILE = (
    "<script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title = 'taken'\">",
    "`code` \\`<img src=x onerror=\"document.title = 'taken'\">`",
    "<!-- --><svg onload=\"document.title = 'taken'\">",
    "<iframe srcdoc='x'></iframe><?x?><a href=javascript:alert()>x</a>",
    "[link](javascript:alert())",
    "[link]( JaVaScRiPt:alert())",
    "[link](&#106;avascript:alert())",
    "[link](java\\script:alert())",
    "[link](<javascript:alert()>)",
    "[link](data:text/html,x)",
    "[link](vbscript:x) [link](file:///etc/passwd) [link](//elsewhere.example.com)",
    "[link]\n(javascript:alert())",
    "\\[link\\](javascript:alert())",
    "<javascript:alert()>",
    "![image](javascript:alert())",
    "[ref]\n\n[ref]: javascript:alert()",
    "[ref][r]\n\n[r]:\n  javascript:alert()",
    "[ref]\n\n[ref]: <javascript:alert()>",
    "[![image](http://x.example.com/i.png)](javascript:alert())",
)
FINE = {
    "[docs](https://wiki.example.com/a_b?c=d&e=f)": ["https://wiki.example.com/a_b?c=d&e=f"],
    "[docs](HTTP://wiki.example.com)": ["http://wiki.example.com/"],
    "[write](mailto:data@example.com)": ["mailto:data@example.com"],
    "[ref]\n\n[ref]: https://wiki.example.com/ref": ["https://wiki.example.com/ref"],
}
MakeNodes = Callable[..., dict[str, Node]]


def test_descriptions_in_a_browser_run_nothing_and_lead_nowhere(nodes: MakeNodes) -> None:
    """Shown by a program that lets HTML through and takes any address: what counts is what stands in the page."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        assert not os.environ.get("GOLDSMITH_CI"), "no chromium here"
        pytest.skip("no chromium here")
    from playwright.sync_api import sync_playwright

    shown = MarkdownIt("commonmark", {"html": True}).enable("table")
    shown.validateLink = lambda url: True  # type: ignore[method-assign]  # noqa: ARG005 - its name is the library's
    graph = nodes(orders="")
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        for text in (*HOSTILE, *FINE):
            columns = (Column(name=text, type=text, description=text),)
            graph["orders"] = dataclasses.replace(
                graph["orders"], description=text, columns=columns, owner=text, tags=(text,)
            )
            [docs] = nodes_docs(graph, graph, {"orders": Selection(text=text, more=0)}).values()
            page.set_content("<title>mine</title>" + shown.render(f"{docs}\n\n{link(text, text)}"))
            assert page.title() == "mine", text
            tags = "script, iframe, svg, [onerror], [onload], [srcdoc]"
            assert page.locator(tags).count() == 0, text
            found = page.locator("a").evaluate_all("found => found.map(one => one.href)")
            assert set(found) == set(FINE.get(text, ())), text
            assert set(page.locator("img").evaluate_all("found => found.map(one => one.src)")) <= {
                "http://x.example.com/i.png"
            }, text


def test_markdown_that_harms_nobody_stays() -> None:
    """Emphasis, code, comparisons and lists."""
    text = "**All** `orders`:\n\n- a < b, a <= 3 and [1]\n- [docs](https://wiki.example.com)"
    assert prose(f"\n{text} ") == text


def test_names_are_shown_as_they_are_written() -> None:
    """Underscores stay; a bar ends no column, and a backtick no code."""
    assert plain("fct_orders a|b\n*c*") == "fct_orders a\\|b \\*c\\*"
    assert code("models/a.sql") == "`models/a.sql`"
    assert code("`db`.`t`") == "`` `db`.`t` ``"
    assert block("said ```") == "````\nsaid ```\n````"


def test_an_address_is_a_link_if_it_leads_to_a_page_or_a_mail() -> None:
    """Whatever ends a link early is escaped."""
    assert link("a]b", " https://x.example.com/(y)?q=<a b>") == (
        "[a\\]b](https://x.example.com/%28y%29?q=%3Ca%20b%3E)"
    )
    assert link("mail", "mailto:a@example.com") == "[mail](mailto:a@example.com)"
    assert link("board", "javascript:alert()") == link("board", "") == "board"
