"""The local stack: an embedded PostgreSQL and Airflow's four components under one supervisor."""
