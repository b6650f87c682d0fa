"""Lines that hold what no parser would like."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldsmith.ingest.json_lines import read_json_lines
from goldsmith.ingest.source import RawFile
from goldsmith.spec.ingest import Ingest

THINGS = Ingest(source="lake.things", file="a.jsonl", key=("id",), columns=("id", "name"))


@pytest.mark.parametrize("depth", [900, 100_000], ids=["too deep to be written", "too deep to be parsed"])
def test_a_line_that_is_nested_too_deeply_is_a_rejected_row(tmp_path: Path, depth: int) -> None:
    """The lines after it are read."""
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"id": 1, "name": {"[" * depth}{"]" * depth}}}\n{{"id": 2}}\n')
    with RawFile(path, "a.jsonl") as file:
        found = list(read_json_lines(file, THINGS, len))
    assert [(one.line, one.reason) for one in found] == [(1, "JSON that is nested too deeply"), (2, "")]
    assert found[1].values == ["2", None]
