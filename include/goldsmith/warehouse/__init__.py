"""The warehouse beside dbt: one writer at a time, sessions that a lost task left, what relations there are."""
