"""A manifest that cannot be used is refused with its path and the command that makes a new one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from goldsmith.dbt.manifest import _operator_kwargs, _owner, checksum, load, read_document
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
            r"made by dbt 1\.9\.4; Goldsmith runs dbt 1\.11 and 1\.12\.",
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


def test_resource_types_of_a_later_dbt_are_named(tmp_path: Path) -> None:
    """Wherever they stand in the manifest: dbt may run them, and no task would."""
    document = {
        **WHOLE,
        "nodes": {f"widget.shop.{name}": {"resource_type": "widget", "name": name} for name in "ab"},
        "gadgets": {"gadget.shop.a": {"resource_type": "gadget"}},
        "sources": {},
        "exposures": {},
        "metrics": {"metric.shop.a": {"resource_type": "metric"}},
    }
    document["metadata"] = {**WHOLE["metadata"], "project_name": "shop"}
    path = tmp_path / "target" / "manifest.json"
    path.parent.mkdir()
    path.write_text(json.dumps(document))
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    assert load(path, tmp_path).unknown_kinds == ("gadget (1)", "widget (2)")


@pytest.mark.parametrize(
    ("cosmos", "said"),
    [
        (["pool"], "meta.cosmos of model.shop.a holds no mapping: ['pool']."),
        ({"operator_kwargs": ["pool"]}, "operator_kwargs of model.shop.a holds no mapping: ['pool']."),
        ({"operator_kwargs": {"task_id": "mine"}}, "sets task_id, which the plan decides."),
    ],
)
def test_what_a_node_says_for_its_task_is_checked(cosmos: object, said: str) -> None:
    """The node is named; Cosmos's own text comes without a hint, and a task's id would be another than planned."""
    with pytest.raises(ManifestError) as caught:
        _operator_kwargs("model.shop.a", {"meta": {"cosmos": cosmos}})
    assert said in caught.value.message


def test_nothing_said_is_nothing_meant() -> None:
    """Empty keys of YAML are null, and no text."""
    for meta in (None, {}, {"cosmos": None, "owner": None}, {"cosmos": {"operator_kwargs": None}}):
        assert _operator_kwargs("model.shop.a", {"meta": meta}) == {}
        assert _owner({"meta": meta}) == ""
    assert _operator_kwargs("m", {"meta": {"cosmos": {"operator_kwargs": {"pool": "x"}}}}) == {"pool": "x"}
    assert _owner({"meta": {"owner": "me"}}) == "me"
