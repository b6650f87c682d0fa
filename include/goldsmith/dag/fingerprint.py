"""Print a hash of every serialised DAG of a file: `python -m goldsmith.dag.fingerprint FILE`.

Airflow writes a new DAG version whenever that hash changes, so it has to be the same in every process. Run in two
fresh interpreters with different hash seeds (PYTHONHASHSEED) it shows what depends on the order of a set, on the
clock or on the process.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path


def fingerprints(file: Path) -> dict[str, object]:
    """Hashes and import errors of one DAG file.

    Returns:
        `{"dags": {dag id: hash}, "errors": {file: text}}`.
    """
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import DagSerialization

    bag = DagBag(file)
    return {
        "dags": {
            dag_id: SerializedDagModel.hash(DagSerialization.to_dict(dag))
            for dag_id, dag in sorted(bag.dags.items())
        },
        "errors": dict(bag.import_errors),
    }


def main() -> None:
    """Print the fingerprints of the file named on the command line, as one JSON line."""
    with contextlib.redirect_stdout(sys.stderr):  # Airflow and Cosmos log to stdout while they are imported
        found = fingerprints(Path(sys.argv[1]))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
