"""Every DAG file can be imported: what `astro dev parse` and `astro deploy` check.

The CLI's own file of this name passes `include_examples` to DagBag, which Airflow 3.3 no longer takes.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
DAGS = HERE.parent / "dags"


def _import_errors() -> dict[str, str]:
    """Load the DAG files as the DAG processor does; connections and variables may be missing."""
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS))
    assert bag.dags or bag.import_errors, f"No DAG below {DAGS}."
    return {str(Path(path).relative_to(DAGS)): text for path, text in bag.import_errors.items()}


def _left_out() -> set[str]:
    lines = (HERE / "dag_integrity_exceptions.txt").read_text(encoding="utf-8").splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


# The versions in an image, and so their deprecations, are not the ones of the project's own tests.
@pytest.mark.filterwarnings("ignore")
def test_file_imports() -> None:
    """No DAG file fails to import, except those that dag_integrity_exceptions.txt names."""
    failures = {path: text for path, text in _import_errors().items() if path not in _left_out()}
    if failures:
        pytest.fail("\n\n".join(f"dags/{path}:\n{text}" for path, text in failures.items()))
