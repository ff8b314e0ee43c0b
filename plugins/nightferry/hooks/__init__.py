"""From an Airflow connection to a client. Making a hook touches nothing."""
