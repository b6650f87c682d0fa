"""The isolated engine: one dbt process for each task, on Cosmos's operators."""
