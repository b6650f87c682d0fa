"""Selections and dbt variables as a spec holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from goldsmith.errors import SpecError
from goldsmith.spec.files import read_spec
from goldsmith.spec.pipeline import Pipeline


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("tag:daily", ("tag:daily",)),
        (["tag:a tag:b", "path:models/x"], ("tag:a tag:b", "path:models/x")),
        ([], ()),
    ],
)
def test_one_text_or_several_are_a_selection(select: Any, expected: tuple[str, ...]) -> None:
    """As dbt takes them."""
    assert Pipeline.parse({"name": "shop", "select": select}).select == expected


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("state:modified", "what `state:` matches changes from run to run"),
        ("tag:a,2+result:error+", "what `result:` matches"),
        ("@source_status:fresher", "what `source_status:` matches"),
        (["tag:a", " "], "an empty text selects nothing"),
    ],
)
def test_what_differs_from_run_to_run_or_is_empty_is_refused(select: Any, expected: str) -> None:
    """A pipeline has the same tasks in all of its runs."""
    with pytest.raises(SpecError, match="select") as caught:
        Pipeline.parse({"name": "shop", "select": select})
    assert expected in str(caught.value)


def test_a_date_in_a_variable_reaches_dbt_as_it_was_written(tmp_path: Path) -> None:
    """YAML makes an object of it, also inside others."""
    file = tmp_path / "shop.yml"
    file.write_text("name: shop\nvars: {since: 2026-01-01, more: [2026-01-02, {at: 2026-01-03}]}\n")
    written = read_spec(file)
    assert written.vars == {"since": "2026-01-01", "more": ["2026-01-02", {"at": "2026-01-03"}]}
