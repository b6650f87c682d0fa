"""What only a process of Airflow's can tell about DAG files: `python -m goldsmith.dag.probe QUESTIONS ANSWERS`.

Airflow imports and serialises each file, and a hash of every DAG is noted. Airflow writes a new DAG version whenever
that hash changes, so it has to be the same in every process: run in two fresh interpreters with different hash seeds
(PYTHONHASHSEED) it shows what depends on the order of a set, on the clock or on the process. One process asks for all
files, because importing Airflow costs more than everything else. On the way it lets dbt connect, and asks whether tasks
may mark others: both need Airflow's connections.
"""

from __future__ import annotations

import contextlib
import gc
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from goldsmith.dag.broken import BrokenPipeline
from goldsmith.dag.faults import Fault, fault_in, fault_of
from goldsmith.dag.unread_files import unread
from goldsmith.dbt.debug import ConnectionTest
from goldsmith.engine.access import access_for
from goldsmith.errors import GoldsmithError
from goldsmith.profile_file import airflow_connection


def rendered(file: Path) -> dict[str, Any]:
    """Import and serialise one DAG file.

    Returns:
        `dags`, DAG id to hash; `faults` of the file, each a text and a hint; `broken`, DAG id to the fault of one
        pipeline of many.
    """
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import DagSerialization

    try:
        bag = DagBag(file)
    except Exception as error:  # noqa: BLE001 - reported, like any that Airflow catches itself
        return {"dags": {}, "faults": [fault_of(error, file)], "broken": {}}
    faults = [fault_in(text, file) for text in bag.import_errors.values()]
    hashes: dict[str, str] = {}
    for dag_id, dag in sorted(bag.dags.items()):
        try:
            hashes[dag_id] = SerializedDagModel.hash(DagSerialization.to_dict(dag))
        except Exception as error:  # noqa: BLE001 - as above
            faults.append(fault_of(error, file))
    broken = {
        dag_id: _fault(task.error)
        for dag_id, dag in bag.dags.items()
        for task in dag.tasks
        if isinstance(task, BrokenPipeline)
    }
    return {"dags": hashes, "faults": faults, "broken": broken}


def type_of(conn_id: str) -> str:
    """Look up the type of an Airflow connection; empty if it cannot be found."""
    try:
        return str(airflow_connection(conn_id).conn_type)
    except Exception:  # noqa: BLE001 - Airflow has many ways to say that a connection is not defined
        return ""


def answers(questions: dict[str, Any]) -> dict[str, Any]:
    """Answer what `goldsmith check` wants to know.

    Args:
        questions: `dags_dir` and `files`; `unread`: whether to say which files Airflow passes over; `connections`: what
            `ConnectionTest` takes, by name; `rights`: pipeline to the name of a connection, and the relations that it
            `writes` and `reads`; `marks`: ids of the DAGs whose tasks may be marked; `types`: Airflow connections.

    Returns:
        `files`, file to what `rendered` gives; `unread`, file to text and hint; `connections`, name to text and hint of
        what is wrong; `rights`, pipeline to the statements that give those that are missing, of warehouses that can
        tell, or to text and hint of why Goldsmith cannot ask; `marks`, DAG id to what `access_for` says; `types`,
        connection to its type, empty if there is none.
    """
    files = [Path(file) for file in questions["files"]]
    tests = {
        name: ConnectionTest(**asked, explain=partial(_explained, asked["connection"]))
        for name, asked in questions["connections"].items()
    }
    for test in tests.values():
        test.start()
    return {
        "unread": unread(Path(questions["dags_dir"]), files) if questions["unread"] else {},
        "files": {str(file): rendered(file) for file in files},
        "marks": {dag_id: access_for(dag_id) for dag_id in questions["marks"]},
        "types": {conn_id: type_of(conn_id) for conn_id in questions["types"]},
        "rights": _missing(questions["rights"]),
        "connections": {name: _fault(error) for name, test in tests.items() if (error := test.answer())},
    }


def _explained(connection: str, said: str) -> GoldsmithError | None:
    from goldsmith.warehouse.choose import warehouse_of

    return warehouse_of(connection).explained(said)


def _missing(asked: dict[str, dict[str, Any]]) -> dict[str, list[str] | Fault | None]:
    """The statements for rights that are missing, none for a warehouse that cannot tell; or why it cannot be asked."""
    from goldsmith.warehouse.choose import warehouse_of

    found: dict[str, list[str] | Fault | None] = {}
    for pipeline, one in asked.items():
        # What keeps dbt from the warehouse too is said of the connection.
        with contextlib.suppress(Exception):
            try:
                warehouse = warehouse_of(one["connection"])
                found[pipeline] = warehouse.missing_grants(writes=one["writes"], reads=one["reads"])
            except GoldsmithError as error:
                found[pipeline] = _fault(error)
    return found


def _fault(error: GoldsmithError) -> Fault:
    return Fault(text=error.message, hint=error.hint)


def main() -> None:
    """Read questions from a file named on the command line, write answers into the other.

    Files, because whatever is imported may print.
    """
    gc.disable()  # nothing that is imported is garbage, and the process ends soon: an eighth of its time
    asked, answered = map(Path, sys.argv[1:3])
    with contextlib.redirect_stdout(sys.stderr):
        found = answers(json.loads(asked.read_text(encoding="utf-8")))
    answered.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
