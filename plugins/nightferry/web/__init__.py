"""What Nightferry adds to Airflow's API server."""
