"""A manifest that cannot be used is refused with its path and the command that makes a new one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from goldsmith.dbt.manifest import checksum, read_document
from goldsmith.errors import ManifestError

WHOLE: dict[str, Any] = {"metadata": {"dbt_version": "1.12.5", "generated_at": "now"}, "nodes": {}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No manifest at"),
        ("", "truncated or not JSON"),
        (json.dumps(WHOLE)[:-5], "truncated or not JSON"),
        ("[]", "not a dbt manifest"),
        ('{"nodes": {}}', "not a dbt manifest"),
        (
            json.dumps({**WHOLE, "metadata": {"dbt_version": "1.9.4"}}),
            r"made by dbt 1\.9\.4; Goldsmith runs dbt 1\.12",
        ),
    ],
)
def test_each_fault_has_its_text(tmp_path: Path, text: str | None, said: str) -> None:
    """What happened, where, and what to run."""
    path = tmp_path / "manifest.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=said) as caught:
        read_document(path, tmp_path)
    assert str(path) in caught.value.message
    assert "goldsmith manifest" in caught.value.hint


def test_the_checksum_ignores_when_and_by_whom_it_was_made() -> None:
    """Two parses of the same files are the same manifest."""
    node = {"name": "a", "created_at": 1795170581.01}
    one = {**WHOLE, "nodes": {"a": node}}
    later = {"metadata": {"dbt_version": "1.12.6"}, "nodes": {"a": {**node, "created_at": 1795170999.5}}}
    other = {**WHOLE, "nodes": {"a": {**node, "name": "b"}}}
    assert checksum(one) == checksum(later) != checksum(other)
