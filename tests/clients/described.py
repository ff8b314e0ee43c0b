"""Schemathesis against a running service: requests made from its /openapi.json, its answers compared with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BEYOND_JSON_SCHEMA = "positive_data_acceptance"
"""That `data` has as many values as `shape` wants, that a text is a picture's base64: JSON Schema cannot say it."""


def described(port: int, *, examples: int, seed: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it; the exit code is 0 if every answer is as described and none is 5xx.

    Args:
        examples: how many requests at most for each operation and phase.
        folder: where it may leave files.
    """
    words = ["-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json", "--no-color"]
    words += ["--checks=all", f"--exclude-checks={BEYOND_JSON_SCHEMA}", f"--max-examples={examples}", f"--seed={seed}"]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": ""}
    return subprocess.run([sys.executable, *words], cwd=folder, env=environ, capture_output=True, text=True)
