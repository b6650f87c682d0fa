"""Airflow DAGs: one for each table in pipelines/tables/, by the template pipelines/load_table.yml."""

from goldsmith import build_dags

globals().update(build_dags("pipelines"))
