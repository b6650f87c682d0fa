"""Inside Airflow's API server: pages of what dbt said and of reports, and routes that set tasks and note assets."""
