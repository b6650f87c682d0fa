"""dbt commands of a task: their folder and environment, what they say, time limits, missing batches."""
