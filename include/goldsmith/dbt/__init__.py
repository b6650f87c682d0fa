"""The dbt side: the project on disk, its manifest, the connection's profile."""
