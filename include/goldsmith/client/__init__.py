"""What commands do with a running Airflow: start runs, follow and sum them up, ask about their nodes and gates."""
