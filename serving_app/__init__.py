"""The service that every image holds: one model behind a small HTTP contract. Imports nothing of nightferry."""

from __future__ import annotations

import os

__version__ = "0.1.0"

# ONNX Runtime's official builds report usage to their vendor unless this is set before they are loaded (since 1.29).
# A service tells nobody about its models.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
