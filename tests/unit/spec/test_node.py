from __future__ import annotations

import pytest

from goldsmith.errors import SpecError
from goldsmith.spec.node import NodeMeta


def test_nothing_said_is_nothing_changed() -> None:
    """A node without the key."""
    assert NodeMeta.parse(None, where="model.shop.orders") == NodeMeta()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"retry_error": "any"}, "retry_error: unknown key. Did you mean retry_errors"),
        ({"retry_errors": "all"}, "retry_errors: Input should be 'transient' or 'any'"),
        (["any"], r"holds no mapping: \['any'\]"),
    ],
)
def test_what_is_wrong_is_said_with_the_node(values: object, complaint: str) -> None:
    """And with the nearest valid key."""
    with pytest.raises(SpecError, match=rf"model\.shop\.orders[^!]*{complaint}"):
        NodeMeta.parse(values, where="model.shop.orders")
