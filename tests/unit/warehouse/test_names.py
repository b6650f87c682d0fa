"""dbt's quoted names, read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldsmith.errors import ConfigurationError
from goldsmith.warehouse.names import relation_of

_NAMES = st.text(min_size=1) | st.text('ab."` ', min_size=1)


@given(st.lists(_NAMES, min_size=2, max_size=3), st.sampled_from('"`'))
def test_what_was_quoted_is_read_back(parts: list[str], quote: str) -> None:
    """Dots, blanks and the quote itself, doubled, are part of a name; the last two parts count."""
    quoted = ".".join(f"{quote}{part.replace(quote, quote * 2)}{quote}" for part in parts)
    assert relation_of(quoted) == tuple(parts[-2:])


def test_a_bare_part_is_lower_cased() -> None:
    """As the warehouse does with names that dbt was told not to quote."""
    assert relation_of('Warehouse."Bronze".Stg_Orders') == ("Bronze", "stg_orders")


@pytest.mark.parametrize(
    "name",
    ["", "orders", '"a"', '"a"."b"."c"."d"', '"a"."b', '"a"b"."c"', '"a"."b".', '""."b"', '"a" "b"', ".a.b"],
)
def test_what_is_no_relation_is_refused(name: str) -> None:
    """Too few parts or too many, open quotes, nothing between quotes or dots."""
    with pytest.raises(ConfigurationError, match="not the name of a relation"):
        relation_of(name)
