"""The dbt side: project, manifest, profile, processes and what they say, classes of errors."""
