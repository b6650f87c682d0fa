"""A new rule is a file, its place in the list, and a line in the docs."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

from goldsmith import gate_rules
from goldsmith.gate_rules import RULES
from goldsmith.gate_rules.base import Rule
from goldsmith.spec.gate import Gate

DOCS = (Path(__file__).parents[3] / "docs" / "gates.md").read_text(encoding="utf-8")


def test_every_rule_is_in_the_list() -> None:
    """Else its key would be unknown."""
    modules = [
        importlib.import_module(f"goldsmith.gate_rules.{one.name}")
        for one in pkgutil.iter_modules(gate_rules.__path__)
    ]
    found = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Rule) and hasattr(kind, "key")
    }
    assert found == {type(rule) for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_a_rule_is_a_key_of_the_gate_and_stands_in_the_docs(rule: Rule[object]) -> None:
    """With its usual value nothing is measured, and nobody is asked."""
    assert rule.key in Gate.model_fields
    assert f"`{rule.key}`" in DOCS
    usual = getattr(Gate(), rule.key)
    assert not usual
    assert (list(rule.lines(usual)), dict(rule.models(usual)), list(rule.compared(usual))) == ([], {}, [])
