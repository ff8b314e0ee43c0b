"""Schemathesis asks the service what /openapi.json allows, and what it does not, and compares the answers with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.clients.described import described
from tests.serving_app.running import Service

pytestmark = pytest.mark.clients
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "20"))


@pytest.mark.parametrize("model", ["shades", "total"])
def test_the_service_is_as_it_describes_itself(request: pytest.FixtureRequest, tmp_path: Path, model: str) -> None:
    service: Service = request.getfixturevalue(model)
    said = described(service.port, examples=EXAMPLES, seed=1, folder=tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr
