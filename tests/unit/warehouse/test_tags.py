"""The tag of a session is PostgreSQL's to keep in full, and nobody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldsmith.warehouse.tags import session_tag

# Ids that differ by little, at the end of much, and where one part ends and the next begins.
_IDS = (
    st.text()
    | st.builds("{}{}".format, st.just("d" * 80), st.text(max_size=2))
    | st.text("a \0,\"'", max_size=3)
)
_PARTS = st.tuples(_IDS, _IDS, _IDS)


@given(_PARTS, _PARTS)
def test_a_tag_fits_and_is_of_one_part_of_one_run(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    """At most 63 bytes that PostgreSQL does not rewrite, and different for different parts."""
    tag = session_tag(*one)
    assert len(tag.encode("ascii")) <= 63
    assert tag.isprintable()
    assert tag.startswith("goldsmith ")
    assert (tag == session_tag(*other)) == (one == other)


@pytest.mark.parametrize(
    ("dag", "part", "shown"),
    [
        ("shop_daily", "bronze.build", "goldsmith shop_daily bronze.build "),
        ("täglich", "prüfung", "goldsmith t_glich pr_fung "),
        ("d" * 80, "bronze.build", f"goldsmith {'d' * 23} bronze.build "),
        ("shop", "p" * 80, f"goldsmith shop {'p' * 31} "),
        ("d" * 80, "p" * 80, f"goldsmith {'d' * 18} {'p' * 17} "),
    ],
)
def test_people_can_read_a_tag(dag: str, part: str, shown: str) -> None:
    """DAG and part are at its front; a long one leaves room for the other."""
    assert session_tag(dag, "manual", part).startswith(shown)
