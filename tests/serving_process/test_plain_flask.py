"""The Flask app needs no server of ours: another one runs it, with the same answers."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving_app.models import picture, score_body, write_shades
from tests.serving_app.running import ROOT, Service, free_port, wait_until

pytestmark = pytest.mark.process
ASKED = ("/readyz", "/version", "/v2/models/shades", "/openapi.json", "/nothing")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_shades(tmp_path / "m")


@pytest.fixture
def granian(model: Path) -> Iterator[int]:
    port = free_port()
    words = [str(Path(sys.executable).with_name("granian")), "serving_app.app:create_app", "--factory"]
    words += ["--interface", "wsgi", "--port", str(port), "--workers", "1", "--no-ws"]
    environ = {**os.environ, "SERVING_MODEL_DIR": str(model), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: process.poll() is not None or _asked(port, "GET", "/readyz")[0] == 200)
            assert process.poll() is None
            yield port
        finally:
            process.terminate()


def test_another_server_gives_the_same_answers(granian: int, model: Path) -> None:
    service = Service(model, {"SERVING_WORKERS": "1"})
    try:
        service.wait_ready()
        for path in ASKED:
            assert _asked(granian, "GET", path) == _asked(service.port, "GET", path)
        body = json.dumps(score_body(picture(255)))
        theirs, ours = (_asked(port, "POST", "/score", body) for port in (granian, service.port))
        assert theirs[0] == ours[0] == 200
        assert theirs[1]["result"][0] == ours[1]["result"][0]
    finally:
        service.kill()


def _asked(port: int, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        content = response.read()
    except OSError:
        return 0, None
    finally:
        connection.close()
    return response.status, json.loads(content) if content[:1] == b"{" else content
