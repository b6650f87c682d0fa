"""Whatever Goldsmith uses of others' internals is there in the installed versions, and written down."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.contract.internal_checks import Internal
from tests.contract.internals import INTERNALS, PROMISED, table

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "include" / "goldsmith"


@pytest.mark.parametrize("one", INTERNALS, ids=lambda one: one.files[0])
def test_the_installed_versions_have_what_is_used(one: Internal) -> None:
    """A new version that breaks it says here what has to be looked at."""
    missing = one.missing()
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("apache-airflow", "astronomer-cosmos", "dbt-core")
    )
    assert not missing, (
        f"With {versions}, {missing}. Goldsmith needs it, because {one.what}: change include/goldsmith/"
        f"{', '.join(one.files)}, then tests/contract/internals.py."
    )


def test_every_file_that_is_named_uses_something() -> None:
    """A file that was moved would be looked for in vain."""
    assert [file for one in INTERNALS for file in one.files if not (PACKAGE / file).is_file()] == []


def test_nothing_else_is_imported_that_is_not_promised() -> None:
    """Each name, with the file that imports it."""
    # `from dbt.events import logging` names the package.
    listed = {
        (name.replace(":", ".").rpartition(".")[0], file)
        for one in INTERNALS
        for name in one.names
        for file in one.files
    }
    modules = {
        (name.partition(":")[0], file) for one in INTERNALS for name in one.names for file in one.files
    }
    unlisted = [
        f"{file}: {module}"
        for file, module in _imports()
        if module not in PROMISED
        and not module.startswith("airflow.providers.")
        and (module, file) not in listed | modules
    ]
    assert unlisted == []


def _imports() -> list[tuple[str, str]]:
    """File and module, of all imports of Airflow, Cosmos and dbt."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            found += [
                (str(path.relative_to(PACKAGE)), name)
                for name in names
                if name.split(".")[0] in ("airflow", "cosmos", "dbt")
            ]
    return found


def test_the_docs_have_the_table() -> None:
    """To be copied from `tests/contract/internals.py`, function `table`."""
    assert table() in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
