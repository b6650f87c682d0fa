"""The tree of errors: written down whole, and each error arrives in another process with all that it says."""

from __future__ import annotations

import ast
import importlib
import pickle
from pathlib import Path

import pytest
from tests.builders import planned_node

import goldsmith
from goldsmith import errors
from goldsmith.engine.task_end import NodeFailed, failure_of
from goldsmith.errors import ApiRefused, GoldsmithError

PACKAGE = Path(goldsmith.__file__).parent
NODE = planned_node("model.shop.orders")
FACTS: dict[type[GoldsmithError], dict[str, object]] = {
    ApiRefused: {"status": 403, "detail": "not yours"},
    NodeFailed: {"failed": (failure_of([NODE], NODE, status="error", message="division by zero"),)},
}


def _subclasses(kind: type[GoldsmithError]) -> list[type[GoldsmithError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _subclasses(child))]


def _errors() -> list[type[GoldsmithError]]:
    """All errors of the package, also of modules that nobody has imported yet."""
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.bases]
        if any(name.endswith(("Error", "Problem", "Failed", "Refused", "Ending", "Taken")) for name in names):
            importlib.import_module(".".join(("goldsmith", *file.relative_to(PACKAGE).with_suffix("").parts)))
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
