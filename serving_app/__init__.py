"""The service that every image holds: one model behind a small HTTP contract. Imports nothing of nightferry."""

from __future__ import annotations

__version__ = "0.1.0"
