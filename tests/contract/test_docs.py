"""The docs hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.main import get_command

from goldsmith.cli import app
from goldsmith.spec.alerts import EVENTS, Alerts, Channel, Quiet, Route
from goldsmith.spec.ingest import Ingest
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.profile import Profile
from goldsmith.spec.report import Elementary, Publish, Report, Send
from goldsmith.spec.retries import Retries

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("deploy/**/*.md"),
    *ROOT.glob("examples/**/*.md"),
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    """A newcomer follows them."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_key_of_the_spec_is_described() -> None:
    """And no other: the reference is what people copy from."""
    text = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")
    known = set(Pipeline.model_fields) | set(Ingest.model_fields) | set(Retries.model_fields)
    known |= set(Report.model_fields)
    known |= {field.alias or name for name, field in Profile.model_fields.items()}
    described = set(re.findall(r"`([a-z_]+)`", text))
    assert known - described == set()


@pytest.mark.parametrize(
    ("page", "models"),
    [("report.md", (Report, Elementary, Publish, Send)), ("alerts.md", (Alerts, Channel, Route, Quiet))],
)
def test_keys_with_a_page_of_their_own_are_described_there(
    page: str, models: tuple[type[BaseModel], ...]
) -> None:
    """Words of the examples count: they are copied too."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    known = {name for model in models for name in model.model_fields}
    assert {name for name in known if not re.search(rf"\b{name}\b", text)} == set()


def test_every_event_is_described() -> None:
    """Whoever writes a route chooses from them."""
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    assert [event for event in EVENTS if f"| `{event}` |" not in text] == []


def test_every_command_stands_in_the_readme() -> None:
    """A command nobody hears of is not there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert [name for name in commands if not re.search(rf"`(goldsmith )?{name}\b", text)] == []
