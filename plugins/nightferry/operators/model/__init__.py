"""The tasks that fetch and check the model."""
