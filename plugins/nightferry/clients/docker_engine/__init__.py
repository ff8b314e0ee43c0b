"""A Docker engine, which runs candidates for their tests."""
