"""KServe's Python client, unchanged, against the service. It lives in an environment of its own, made once from a lock
file with hashes and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving_app.running import Service

pytestmark = pytest.mark.clients

FOLDER = Path(__file__).parent
LOCK = FOLDER / "requirements-kserve.txt"


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the environment that has KServe."""
    if sys.version_info >= (3, 13):
        pytest.skip("KServe wants Python 3.12 or older")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nightferry"
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    folder = cache / f"kserve-client-{version}-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    interpreter = folder / "bin" / "python"
    if not (folder / "ready").exists():
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        install = [uv, "pip", "sync", "-q", "--python", str(interpreter), "--require-hashes", str(LOCK)]
        subprocess.run(install, check=True)
        (folder / "ready").touch()
    return interpreter


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
