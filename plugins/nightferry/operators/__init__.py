"""Airflow's tasks: each runs one step, in Airflow's own process or in a pod.

Here is what all have in common; the folders hold the tasks about the model, the image, and those in pods.
"""
