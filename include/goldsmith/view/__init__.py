"""What dbt said about a node, as a page beside its task in Airflow."""
