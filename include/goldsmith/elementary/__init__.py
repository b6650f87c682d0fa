"""Elementary: its tables before the first dbt command of a run, its report after the last one."""
