"""How messages name things."""

from __future__ import annotations

import pytest

from goldsmith.wording import did_you_mean, some


@pytest.mark.parametrize(
    ("names", "between", "expected"),
    [
        ([], ", ", ""),
        (["a", "b"], ", ", "a, b"),
        (["a", "b", "c"], ", ", "a, b and 1 more"),
        (["a", "b", "c", "d"], "; ", "a; b; and 2 more"),
        (["a", "b", "c"], "\n  ", "a\n  b\n  and 1 more"),
    ],
)
def test_the_first_of_many_are_named(names: list[str], between: str, expected: str) -> None:
    """Where a comma is not between them, what is left out is an item of its own."""
    assert some(iter(names), 2, between=between) == expected


@pytest.mark.parametrize(
    ("known", "otherwise", "expected"),
    [
        (["gold", "silver", "bronze"], None, "Did you mean silver?"),
        (["silver_2", "silver_1"], None, "Did you mean silver_2 or silver_1?"),
        (["x", "y", "a", "x"], None, "There are: x, y, a."),
        ([], None, "There are none."),
        (["x"], "goldsmith plan lists them.", "goldsmith plan lists them."),
        (["x"], "", ""),
    ],
)
def test_what_was_meant_is_named_else_what_there_is(
    known: list[str], otherwise: str | None, expected: str
) -> None:
    """In the order in which it was given."""
    assert did_you_mean("slver", known, otherwise) == expected
