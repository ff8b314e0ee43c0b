"""KServe's Python client, unchanged, against the service. It lives in an environment of its own, made once from a lock
file with hashes and kept in the cache."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.locked_python import locked_python
from tests.serving_app.running import Service

pytestmark = pytest.mark.clients

FOLDER = Path(__file__).parent
LOCK = FOLDER / "requirements-kserve.txt"


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the environment that has KServe."""
    if sys.version_info >= (3, 13):
        pytest.skip("KServe wants Python 3.12 or older")
    return locked_python("kserve-client", LOCK)


def test_the_kserve_client(python: Path, total: Service) -> None:
    script = str(FOLDER / "kserve_calls.py")
    address = f"http://127.0.0.1:{total.port}"
    said = subprocess.run([str(python), script, address], capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr
    answer = json.loads(said.stdout.splitlines()[-1])
    assert answer.pop("refused").startswith("400")
    assert answer == {
        "live": True,
        "ready": True,
        "model_ready": True,
        "json": [[11.5, -17.5]],
        "binary": [[11.5, -17.5]],
        "id": "r-1",
    }
