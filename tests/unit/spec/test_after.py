"""What a pipeline comes after."""

from __future__ import annotations

from typing import Any

import pytest

from goldsmith.errors import SpecError
from goldsmith.spec.pipeline import Pipeline

ORDERS, CUSTOMERS = "goldsmith://orders/gold/fct_orders", "postgres://host:5432/db/gold/dim_customers"


def pipeline(**values: Any) -> Pipeline:
    """The spec with these keys."""
    return Pipeline.parse({"name": "shop", **values})


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (ORDERS, f"after {ORDERS}"),
        ([ORDERS, CUSTOMERS], f"after all of {ORDERS}, {CUSTOMERS}"),
        ({"any": [ORDERS, CUSTOMERS]}, f"after any of {ORDERS}, {CUSTOMERS}"),
    ],
)
def test_assets_are_named_in_three_ways(after: Any, text: str) -> None:
    """One, all of a list, or any."""
    found = pipeline(after=after).after
    assert found is not None
    assert found.text == text


def test_the_default_schedule_does_not_come_beside_it() -> None:
    """Only one that somebody wrote does."""
    assert pipeline().times == "@hourly"
    assert pipeline(after=ORDERS).times is None
    assert pipeline(after=ORDERS, schedule="@daily").times == "@daily"
    assert pipeline(after=ORDERS, environments={"dev": {"target": "dev"}}).in_environment("dev").times is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"after": "fct_orders"}, "is no URI of an asset"),
        ({"after": "postgres://user@host/db"}, "is no URI of an asset"),
        ({"after": []}, "name the assets to wait for"),
        ({"after": {"all": [ORDERS], "any": [ORDERS]}}, "name the assets to wait for"),
        ({"after": {"every": [ORDERS]}}, "Valid keys: all, any"),
        ({"after": "goldsmith://shop/gold/fct_orders"}, "which shop updates itself"),
        ({"after": ORDERS, "schedule": "@once"}, "do not go together"),
        ({"window": "0s"}, "no time"),
        ({"window": "1d", "schedule": None}, "for runs that Airflow starts"),
        ({"window": "1d", "after": ORDERS, "schedule": "@daily"}, "leave one of the three out"),
        ({"window": "1d", "engine": "isolated"}, "with `engine: shared` alone"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], said: str) -> None:
    """With what to write instead."""
    with pytest.raises(SpecError) as caught:
        pipeline(**values)
    assert said in str(caught.value)
