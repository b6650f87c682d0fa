"""Airflow DAG: customer transactions in many currencies, from raw files to marts in EUR."""

from pathlib import Path

from goldsmith import build_dag

customer_transactions = build_dag(Path(__file__).parent / "pipelines" / "customer_transactions.yml")
