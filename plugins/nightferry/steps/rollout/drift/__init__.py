"""Drift: what runs differs from what the record says. Look for it, and put it back where that is asked for."""
