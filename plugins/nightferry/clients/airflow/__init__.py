"""Airflow's REST API, as the command line speaks it.

Airflow's own packages are not imported here.
"""
