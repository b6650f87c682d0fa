"""The tasks of an ingest, as a DAG file makes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import DAG

from goldsmith.ingest.task_group import ingest_group
from goldsmith.spec.ingest import Ingest


@pytest.mark.parametrize(
    "file", ["nostore://nobody@raw/*.csv", "s3://nobody@raw/a.parquet", "gone/**/*.jsonl"]
)
def test_a_dag_is_made_without_a_look_at_its_files(tmp_path: Path, file: str) -> None:
    """Neither storage nor connection is there; Airflow reads a DAG file every few seconds."""
    ingest = Ingest(source="lake.things", file=file, key=("id",), columns=("id",))
    with DAG("things", schedule=None) as dag:
        ingest_group([ingest], connection="warehouse", root=str(tmp_path))
    assert {"ingest.things.split", "ingest.things.load", "ingest.things.merge"} <= set(dag.task_dict)
