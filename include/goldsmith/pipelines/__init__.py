"""The pipelines of a dags folder: found, chosen by name, their manifests and packages made, selections asked of dbt."""
