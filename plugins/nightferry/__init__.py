"""Nightferry: nightly releases of AI services, with a record that answers an auditor."""

__version__ = "0.1.0"
