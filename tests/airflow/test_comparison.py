"""A comparison that has ended is cleared if a node before it is built again, also while the API server is away."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.builders import plan_of
from tests.sites import site_of

from goldsmith.engine.access import PAUSES
from goldsmith.engine.comparison import compare_again
from goldsmith.errors import ApiRefused, EnvironmentProblem


@dataclass
class Api:
    """An API server that fails first."""

    fails: list[Exception]
    cleared: list[str] = field(default_factory=list)

    def clear(self, _: str, __: str, task_ids: list[str], *, downstream: bool) -> None:
        """Clear tasks."""
        assert downstream
        if self.fails:
            raise self.fails.pop(0)
        self.cleared += task_ids


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Let a task of a build that was compared begin; returns the comparisons that are cleared."""
    monkeypatch.setattr("goldsmith.engine.comparison.time.sleep", lambda _: None)

    def begin(*fails: Exception, state: str | None = "success") -> list[str]:
        api = Api(list(fails))
        monkeypatch.setattr("goldsmith.engine.comparison.airflow_api", lambda: nullcontext(api))
        site = site_of(plan_of(()), tmp_path, given={"gold.reconcile": state})
        compare_again(site, "r1", "gold.build")
        return api.cleared

    return begin


@pytest.mark.parametrize(
    ("state", "cleared"), [("success", True), ("failed", True), ("running", False), (None, False)]
)
def test_only_one_that_has_ended_is_cleared(asked: Any, state: str | None, cleared: bool) -> None:  # noqa: FBT001
    """Another one is still to look."""
    assert asked(state=state) == (["gold.reconcile"] if cleared else [])


@pytest.mark.parametrize("fault", [EnvironmentProblem("no answer"), ApiRefused("busy", status=503)])
def test_an_api_server_that_is_away_is_asked_again(asked: Any, fault: Exception) -> None:
    """The run would stay as green as it was; if nothing helps, the task fails and is tried again."""
    assert asked(fault, fault) == ["gold.reconcile"]
    with pytest.raises(type(fault)):
        asked(*[fault] * (len(PAUSES) + 1))


def test_without_the_right_to_clear_the_task_goes_on(asked: Any, caplog: pytest.LogCaptureFixture) -> None:
    """No try would help; the log says what a person has to do."""
    assert asked(ApiRefused("no right", status=403)) == []
    assert "Clear it by hand" in caplog.text
