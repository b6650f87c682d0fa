"""The isolated engine: each task runs dbt for its own node."""
