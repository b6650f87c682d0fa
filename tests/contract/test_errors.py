"""The tree of errors: written down whole, and each error arrives in another process with all that it says."""

from __future__ import annotations

import importlib
import pickle
import pkgutil

import pytest
from tests.builders import planned_node

import goldsmith
from goldsmith import errors
from goldsmith.engine.task_end import NodeFailed, failure_of
from goldsmith.errors import ApiRefused, GoldsmithError

STARTS_SOMETHING = {"goldsmith.tuning.preload"}
"""Modules whose import loads dbt or starts work; they have no errors."""
NODE = planned_node("model.shop.orders")
FACTS: dict[type[GoldsmithError], dict[str, object]] = {
    ApiRefused: {"status": 403, "detail": "not yours"},
    NodeFailed: {"failed": (failure_of([NODE], NODE, status="error", message="division by zero"),)},
}


def _subclasses(kind: type[GoldsmithError]) -> list[type[GoldsmithError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _subclasses(child))]


def _errors() -> list[type[GoldsmithError]]:
    """All errors of the package, also of modules that nobody has imported yet."""
    for one in pkgutil.walk_packages(goldsmith.__path__, "goldsmith."):
        if one.name not in STARTS_SOMETHING:
            importlib.import_module(one.name)
    return [one for one in _subclasses(GoldsmithError) if one.__module__.startswith("goldsmith.")]


def test_the_tree_names_every_error() -> None:
    """Those that begin with an underscore never leave their module."""
    known = {one.__name__ for one in _errors() if not one.__name__.startswith("_")}
    assert {"NodeFailed", "ApiRefused"} <= known
    assert {name for name in known if f" {name} " not in str(errors.__doc__)} == set()


@pytest.mark.parametrize("kind", _errors(), ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling_with_its_facts(kind: type[GoldsmithError]) -> None:
    """Message, hint, exit code, and whatever else it carries."""
    facts = FACTS.get(kind, {})
    error = kind("It is broken.", hint="Mend it.", **facts)
    error.add_note("seen at night")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is kind
    assert (str(copy), copy.message, copy.hint) == ("It is broken.\nMend it.", "It is broken.", "Mend it.")
    assert copy.exit_code == error.exit_code
    assert {name: getattr(copy, name) for name in facts} == facts
    assert copy.__notes__ == ["seen at night"]


def test_an_error_with_facts_of_its_own_is_tested_with_them() -> None:
    """A new one has to be added to the facts above."""
    own = {one for one in _errors() if "__init__" in vars(one) and one is not GoldsmithError}
    assert own == FACTS.keys()
