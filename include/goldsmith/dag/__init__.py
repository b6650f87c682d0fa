"""The plan becomes an Airflow DAG."""
