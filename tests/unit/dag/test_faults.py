"""Tracebacks as sentences."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from goldsmith.dag.faults import fault_in, fault_of
from goldsmith.errors import ManifestError, SpecError
from goldsmith.plan.names import TaskName

FILE = Path("/repo/dags/shop.py")


def _raised(do: Callable[[], object]) -> Exception:
    try:
        do()
    except Exception as error:  # noqa: BLE001 - any is wanted
        return error
    raise AssertionError("nothing was raised")


def _raise_ours() -> None:
    try:
        raise KeyError("x")
    except KeyError as error:
        raise SpecError("No such layer:\n  silver.", hint="Write `silver`.") from error


def test_an_error_of_ours_is_its_message_and_hint() -> None:
    """Without the causes and the frames above it."""
    found = fault_of(_raised(_raise_ours), FILE)
    assert found == {"text": "No such layer:\n  silver.", "hint": "Write `silver`."}
    assert fault_of(ManifestError("Nothing there."), FILE) == {"text": "Nothing there.", "hint": ""}


def test_any_other_names_the_line_of_the_dag_file(tmp_path: Path) -> None:
    """One sentence, and how to see more."""
    file = tmp_path / "shop.py"
    file.write_text("x = {}\nprint(x['a'])\n")
    error = _raised(lambda: exec(compile(file.read_text(), file, "exec"), {}))  # noqa: S102 - a file of its own
    assert fault_of(error, file) == {
        "text": f"Airflow cannot import {file}: KeyError: 'a' (line 2)",
        "hint": f"To see where: python {file}",
    }
    error = _raised(lambda: compile("x = (\n", file, "exec"))
    assert fault_of(error, file)["text"].startswith(f"Airflow cannot import {file}: SyntaxError: ")


def test_a_fault_in_goldsmith_is_called_that() -> None:
    """A user cannot correct it."""
    error = _raised(lambda: TaskName.__init__(None))  # type: ignore[arg-type, call-arg]
    trace = "".join(traceback.format_exception(error)).replace(
        __file__, str(Path(fault_in.__code__.co_filename).parent / "build.py")
    )
    assert "This is a fault in Goldsmith, build.py line" in fault_in(trace, FILE)["hint"]


@pytest.mark.parametrize("text", ["", "\n", "Killed", "DagBag import timeout for x after 30.0s."])
def test_what_is_no_traceback_is_shown_as_it_is(text: str) -> None:
    """An empty text too."""
    assert fault_in(text, FILE)["text"].startswith(f"Airflow cannot import {FILE}: ")
