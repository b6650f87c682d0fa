"""Programs that run in dbt's environment, which may have neither Goldsmith nor Airflow: they import dbt alone.

They are started by their path. Each is a shortcut: a `dbt` command would do the same, and takes longer to start.
"""
