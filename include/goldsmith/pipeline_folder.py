"""All pipelines of a folder, by one DAG file: a spec that cannot be used breaks its own DAG only."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from goldsmith.airflow_version import need_airflow
from goldsmith.dag_files import Collection, collecting
from goldsmith.errors import GoldsmithError, SpecError
from goldsmith.pipeline import as_asked, as_here, beside_caller, dag_of, each_manifest_once
from goldsmith.settings import Settings, settings
from goldsmith.spec.files import Entry, find_entry, read_folder
from goldsmith.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from airflow.sdk import DAG

log = logging.getLogger(__name__)


def build_dags(folder: Path | str) -> dict[str, DAG]:
    """Make the Airflow DAGs of all specs in a folder.

    A spec, or a dbt project, that cannot be used becomes a DAG with one task, which fails and says why; the others are
    not concerned. In the process of a task only the DAG of that task is made.

    Args:
        folder: With the YAML files, from the folder of the file that calls this; or one YAML file.

    Returns:
        Pipeline to DAG, for the globals of the DAG file.

    Raises:
        GoldsmithError: There is no such folder, or no spec in it; Airflow shows the text as the import error.
    """
    place = beside_caller(folder)
    here = settings()
    collected = collecting.get()
    if collected is not None:
        _collect(place, here, collected)
        return {}
    need_airflow()
    from airflow.sdk import get_parsing_context

    wanted = get_parsing_context().dag_id
    if wanted:
        entry = find_entry(place, wanted)
        return {wanted: _dag(entry, here)} if entry else {}
    with each_manifest_once():
        return {entry.name: _dag(entry, here) for entry in read_folder(place)}


def _collect(place: Path, here: Settings, collected: Collection) -> None:
    """Note the pipelines of a folder for those who read DAG files."""
    collected.folders.append(place.resolve())
    for entry in read_folder(place):
        collected.names.append(entry.name)
        try:
            collected.specs.append(as_asked(_spec(entry), here, collected))
        except GoldsmithError as error:
            collected.refused[entry.name] = error


def _dag(entry: Entry, here: Settings) -> DAG:
    from goldsmith.dag.broken import broken_dag
    from goldsmith.dag.faults import fault_of

    spec = None
    try:
        spec = as_here(_spec(entry), here)
        return dag_of(spec, here)
    except GoldsmithError as error:
        log.error("Pipeline %s cannot be used: %s", entry.name, error)  # noqa: TRY400 - the message says it all
        return broken_dag(entry.name, error, spec, is_scheduled=here.is_scheduled)
    except Exception as error:  # whatever it is, the other pipelines run
        log.exception("Pipeline %s cannot be used", entry.name)
        fault = fault_of(error, entry.file)
        known = GoldsmithError(fault["text"], hint=fault["hint"])
        return broken_dag(entry.name, known, spec, is_scheduled=here.is_scheduled)


def _spec(entry: Entry) -> Pipeline:
    if entry.spec is None:
        raise entry.error or SpecError(f"{entry.file} holds no spec.")
    return entry.spec
