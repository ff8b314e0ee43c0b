"""The sample model: trained here, served by the serving app, asked by the tutorial's kind of client."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.model_version import parse_manifest

from examples.digits import client, train
from serving_app.app import create_app
from serving_app.settings import Settings

CREATED = "2026-01-02T03:04:05Z"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["linear", "forest", "weak"])
def variant(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, train.train(folder, request.param, CREATED)


def test_two_variants_pass_the_gate_and_one_does_not(variant: tuple[str, Path, dict[str, Any]]) -> None:
    name, _, manifest = variant
    assert (manifest["metrics"]["accuracy"] >= 0.95) == (name != "weak")
    assert manifest["version"] == f"2026-01-02-{name}"


def test_model_json_is_valid_and_tells_the_truth_about_files(variant: tuple[str, Path, dict[str, Any]]) -> None:
    _, folder, _ = variant
    manifest = parse_manifest((folder / "model.json").read_bytes())
    on_disk = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    del on_disk["model.json"]
    assert {file.name: file.size for file in manifest.files} == on_disk


def test_the_service_reads_every_golden_picture(variant: tuple[str, Path, dict[str, Any]]) -> None:
    _, folder, manifest = variant
    app = create_app(Settings(model_dir=folder)).test_client()
    pictures = [base64.b64encode((folder / example["image"]).read_bytes()).decode() for example in manifest["golden"]]
    best = app.post("/score", json={"input": json.dumps(pictures)}).json["result"][0]
    assert [scores[0][0] for scores in best] == [example["label"] for example in manifest["golden"]]
    assert len(best) == 10


def test_the_same_training_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        train.train(folder, "linear", CREATED)
    assert (tmp_path / "a" / "model.json").read_bytes() == (tmp_path / "b" / "model.json").read_bytes()
    assert (tmp_path / "a" / "model.onnx").read_bytes() == (tmp_path / "b" / "model.onnx").read_bytes()


def test_a_folder_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("x")
    assert train.main(["--out", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("served")
    train.train(folder, "linear", CREATED)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "serving_app", "--model-dir", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "SERVING_DRAIN_MS": "0"})
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}", folder
    process.terminate()
    assert process.wait(30) == 0


def test_the_client_prints_the_digit(served: tuple[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    address, folder = served
    assert client.main([address, str(folder / "golden" / "7.png")]) == 0
    assert capsys.readouterr().out == "7\n"


def test_the_client_says_what_went_wrong(served: tuple[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    address, folder = served
    for arguments, words in (
        ([address, str(folder / "model.json")], "refuses it: input[0]: not a picture"),
        ([address, str(folder / "nothing.png")], "No such file"),
        ([address + "/elsewhere", str(folder / "golden" / "7.png")], "refuses it: path"),
        (["http://127.0.0.1:1", str(folder / "golden" / "7.png")], "does not answer"),
        (["127.0.0.1:1", str(folder / "golden" / "7.png")], "127.0.0.1:1"),
    ):
        assert client.main(arguments) == 1
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
