"""The page about the engines publishes the faults that the long tests plant, and what came of each."""

from __future__ import annotations

from pathlib import Path

from tests.full.fault_list import FAULTS, NOT_COMPARED, table


def test_the_page_has_the_faults_that_are_tried(repository: Path) -> None:
    """Each with what either engine makes of it; the long tests show that this is so."""
    page = (repository / "docs" / "engine.md").read_text(encoding="utf-8")
    assert page.partition("<!-- faults -->\n")[2].partition("<!-- end -->")[0] == f"{table()}\n"


def test_at_least_twenty_faults_are_tried() -> None:
    """The shared engine compares after each layer, so that none passes."""
    assert len(FAULTS) >= 20
    assert [fault.name for fault in FAULTS if fault.shared == NOT_COMPARED] == []
