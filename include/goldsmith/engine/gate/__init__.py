"""The gate as an Airflow task."""
