"""The causes of a red run, as they are printed."""

from __future__ import annotations

import io
from collections.abc import Mapping

from rich.console import Console
from tests.unit.client.test_causes import GRANT, failure

from goldsmith.client.causes import Cause, Failure, causes
from goldsmith.client.failures import print_causes


def cause(*failures: Failure, **holds_back: int) -> Cause:
    """A cause, and how many tasks of each group it holds back."""
    return Cause(failures=failures, holds_back=holds_back)


def shown(*found: Cause, followed: Mapping[str, str] | None = None, width: int | None = None) -> str:
    """What a person sees: on a terminal of a width, or else in a pipe."""
    file = io.StringIO()
    console = Console(file=file, width=width or 100_000, force_terminal=width is not None, color_system=None)
    print_causes(found, followed or {}, console, pipeline="shop", url="/run")
    return file.getvalue()


def test_a_reason_of_many_nodes_is_printed_once() -> None:
    """With the names of the others, and the command for all of them; what a node failed of itself stays its own."""
    denied = "permission denied for schema gold"
    text = shown(
        *causes([*(failure(name, denied) for name in "abc"), failure("d", "division by zero")], {}, (), None)
    )
    assert text.count(GRANT.strip()) == 1
    assert text.count(denied) == 1
    assert "2 more for the same reason: gold.b.run, gold.c.run" in text
    assert text.count("again: goldsmith run shop --failed") == 1
    assert "again: goldsmith retry d" in text
    older = shown(cause(*(failure(name, denied, again="goldsmith retry x --run r1") for name in "ab")))
    assert "again: goldsmith retry x --run r1" in older


def test_what_it_holds_back_and_what_follows_are_a_line_each() -> None:
    """The names of other tasks are left out: they would hide the cause."""
    text = shown(
        cause(failure("d", "division by zero"), silver=25, gold=63),
        followed={"silver.gate": "failed_tests 4, at most 0", "silver.reconcile": ""},
    )
    lines = text.splitlines()
    assert lines[1] == "Red because of what failed: silver.gate (failed_tests 4, at most 0), silver.reconcile"
    assert "  holds back 88 tasks: silver 25, gold 63" in lines
    assert lines[-2:] == ["  log: /d", "  again: goldsmith retry d"]


def test_of_many_causes_the_last_ones_are_printed() -> None:
    """They hold back most, and stand next to the prompt."""
    text = shown(*(cause(failure(f"m{number}", "division by zero")) for number in range(12)))
    assert text.count("FAILED") == 10
    assert "... and 2 more failures: /run" in text
    assert "FAILED gold.m11.run" in text
    assert "gold.m1.run" not in text


def test_a_terminal_of_80_columns_gets_whole_words() -> None:
    """Each line is wrapped below its own beginning; an address is a link behind a command."""
    long = "column " + " ".join(["does not exist"] * 8)
    text = shown(cause(failure("d", long, url="http://localhost:8080/" + "x" * 90)), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "    exist does not exist" in text.replace("  column", "    column")
    assert "log: goldsmith logs gold.d.run" in text
