"""What differs in an environment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from goldsmith.errors import SpecError
from goldsmith.spec.pipeline import Pipeline

SPEC: dict[str, Any] = {
    "name": "shop",
    "schedule": "@hourly",
    "profile": {"schema": "shop", "threads": 8},
    "gates": {"bronze": {"failed_tests": 1}, "silver": {"failed_tests": 2, "rows": {"orders": 1}}},
    "node_timeout": "15m",
    "deadlines": [{"by": "06:00"}],
}


def test_mappings_change_key_by_key_and_all_else_as_a_whole() -> None:
    """What is not named stays."""
    changes: dict[str, Any] = {
        "schedule": None,
        "connection": "staging",
        "target": "staging",
        "profile": {"schema": "stage"},
        "gates": {"silver": {"failed_tests": 5}},
        "deadlines": [],
    }
    spec = Pipeline.parse({**SPEC, "environments": {"staging": changes, "dev": {}}})
    found = spec.in_environment("staging")
    assert (found.schedule, found.connection, found.target, found.deadlines) == (
        None,
        "staging",
        "staging",
        (),
    )
    assert (found.profile.schema_, found.profile.threads) == ("stage", 8)
    assert found.gates == {
        "bronze": spec.gates["bronze"],
        "silver": Pipeline.parse({**SPEC, "gates": {"silver": {"failed_tests": 5}}}).gates["silver"],
    }
    assert found.node_timeout == timedelta(minutes=15)
    assert found.environments == {}
    assert spec.in_environment("dev") == Pipeline.parse(SPEC)
    assert spec.in_environment("") is spec


def test_a_spec_without_environments_is_the_same_everywhere() -> None:
    """Several pipelines share an Airflow, and not all of them need to know its name."""
    spec = Pipeline.parse(SPEC)
    assert spec.in_environment("staging") is spec


@pytest.mark.parametrize(
    ("environments", "said"),
    [
        (
            {"dev": {"connexion": "x"}},
            "environment dev is not valid:\n  connexion: unknown key. Did you mean",
        ),
        (
            {"dev": {"gates": {"bronz": {}}}},
            "`gates` names 'bronz', which is no layer. Did you mean bronze?",
        ),
        ({"dev": {"name": "other"}}, "the environment dev cannot change `name`"),
        ({"dev": {"environments": {}}}, "the environment dev cannot change `environments`"),
        ({"dev": "x"}, "environments.dev: Input should be a valid dictionary"),
    ],
)
def test_a_fault_in_an_environment_is_told_in_all_of_them(environments: dict[str, Any], said: str) -> None:
    """So that production's is not found in production."""
    with pytest.raises(SpecError) as caught:
        Pipeline.parse({**SPEC, "environments": environments})
    assert said in str(caught.value)


def test_an_unknown_environment_is_told_with_the_nearest() -> None:
    """It is the setting that is wrong, or the spec."""
    spec = Pipeline.parse({**SPEC, "environments": {"staging": {}}})
    with pytest.raises(
        SpecError, match=r"no environment 'stagin', which GOLDSMITH_ENVIRONMENT names\. Did you mean staging"
    ):
        spec.in_environment("stagin")
