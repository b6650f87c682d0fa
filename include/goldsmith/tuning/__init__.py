"""What Goldsmith changes inside processes of Airflow: dbt loaded before the fork, fewer walks of the scheduler."""
