"""Airflow's auth managers with Nightferry's rule in front of them: who asks, and who operates. See docs/rights.md."""
