"""The sample's client, and the request and expression of the tutorial that it comes from."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.serving_app.models import picture
from tests.serving_app.running import ROOT, Service


def test_the_samples_client(shades: Service, tmp_path: Path) -> None:
    path = tmp_path / "light.png"
    path.write_bytes(picture(255))
    client = ROOT / "examples" / "digits" / "client.py"
    address = f"http://127.0.0.1:{shades.port}"
    said = subprocess.run([sys.executable, str(client), address, str(path)], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "light"


def test_the_tutorials_request_and_expression(shades: Service) -> None:
    encoded = base64.b64encode(picture(0))
    for element in (encoded.decode("utf-8"), str(encoded)):  # some of them send Python's b'…'
        body = json.dumps({"input": '["' + element + '"]'}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{shades.port}/score", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:
            assert json.loads(response.read())["result"][0][0][0][0] == "dark"
