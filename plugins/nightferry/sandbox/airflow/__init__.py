"""Airflow's processes."""
