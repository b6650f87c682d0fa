"""What runs dbt for a task."""
