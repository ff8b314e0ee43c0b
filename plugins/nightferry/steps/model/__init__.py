"""A model version: published, fetched, checked."""
