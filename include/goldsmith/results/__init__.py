"""What dbt said about each node of a run, kept where workers and the API server can read it."""
