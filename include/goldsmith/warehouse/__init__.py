"""The warehouse beside dbt: what relations there are, what is in them, one writer at a time, sessions of lost tasks."""
