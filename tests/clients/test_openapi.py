"""Schemathesis asks the service what /openapi.json allows, and what it does not, and compares the answers with it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.serving_app.running import Service

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "20")
BEYOND_JSON_SCHEMA = "positive_data_acceptance"
"""That `data` has as many values as `shape` wants, that a text is a picture's base64: JSON Schema cannot say it."""


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="not installed: schemathesis")
@pytest.mark.parametrize("model", ["shades", "total"])
def test_the_service_is_as_it_describes_itself(request: pytest.FixtureRequest, tmp_path: Path, model: str) -> None:
    service: Service = request.getfixturevalue(model)
    words = ["-m", "schemathesis.cli", "run", f"http://127.0.0.1:{service.port}/openapi.json", "--no-color"]
    words += ["--checks=all", f"--exclude-checks={BEYOND_JSON_SCHEMA}", f"--max-examples={EXAMPLES}", "--seed=1"]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": ""}
    said = subprocess.run([sys.executable, *words], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
