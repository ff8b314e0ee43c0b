"""A model directory that is wrong is refused at start with one sentence that names what and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving_app.app import create_app
from serving_app.errors import StartError
from serving_app.lifecycle import Lifecycle
from serving_app.settings import Settings, load
from tests.serving_app.models import write_shades, write_sum

IMAGE = {"input": "image", "width": 2, "height": 2, "mode": "L", "layout": "flat"}


def start(path: Path) -> None:
    create_app(Settings(model_dir=path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "pickle"}, "format is 'pickle'"),
        ({"model": "other.onnx"}, "not among files"),
        ({"inputs": []}, "inputs is empty"),
        ({"inputs": [{"name": "image", "datatype": "FP99", "shape": [-1, 4]}]}, "FP99"),
        (
            {"inputs": [{"name": "picture", "datatype": "FP32", "shape": [-1, 4]}], "image": None},
            "the model's are image",
        ),
        ({"inputs": [{"name": "image", "datatype": "FP64", "shape": [-1, 4]}]}, "declared FP64, the model's is FP32"),
        ({"inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 5]}], "image": None}, "declared"),
        ({"outputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]}, "the model has no x; it has scores"),
        ({"labels": ["a", "b"]}, "labels are 2"),
        ({"labels": ["a"], "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, -1]}]}, "labels are 1"),
        ({"labels": None}, "labels are missing"),
        ({"scores": "guesses"}, "scores is 'guesses'"),
        ({"image": {**IMAGE, "width": 3}}, "image makes tensors of shape"),
        ({"image": {**IMAGE, "mode": "CMYK"}}, "image.mode is 'CMYK'"),
        ({"image": {**IMAGE, "mean": [0.1, 0.2]}}, "image.mean"),
        ({"image": {**IMAGE, "input": "x"}}, "not among inputs"),
        ({"image": {**IMAGE, "surprise": 1}}, "surprise"),
        ({"files": [{"name": "model.onnx", "size": 1}]}, "should have 1 bytes"),
    ],
)
def test_model_json_is_wrong(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StartError, match=words) as caught:
        start(write_shades(tmp_path / "m", **changes))
    assert "model.json" in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: (path / "model.json").unlink(), "no model in"),
        (lambda path: (path / "model.json").write_text("{"), "model.json"),
        (lambda path: (path / "model.json").write_text("[]"), "not a JSON object"),
        (lambda path: (path / "model.json").write_text('{"format": "onnx"}'), "inputs is missing"),
        (lambda path: (path / "model.onnx").unlink(), "is missing"),
        (lambda path: (path / "model.onnx").write_bytes(b"x" * (path / "model.onnx").stat().st_size), "does not open"),
    ],
)
def test_files_are_wrong(tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    path = write_shades(tmp_path / "m")
    spoil(path)
    with pytest.raises(StartError, match=words):
        start(path)


def test_a_model_that_fails_on_its_first_inference(tmp_path: Path) -> None:
    path = write_sum(tmp_path / "m")
    document = json.loads((path / "model.json").read_text())
    document["labels"] = ["only", "two", "three"]
    document["outputs"][0]["shape"] = [-1, -1]
    (path / "model.json").write_text(json.dumps(document))
    with pytest.raises(StartError, match="labels are 3"):
        start(path)


def test_not_ready_before_a_real_inference_and_while_draining(picture_dir: Path) -> None:
    lifecycle = Lifecycle()
    assert not lifecycle.ready
    client = create_app(Settings(model_dir=picture_dir), lifecycle).test_client()
    assert client.get("/readyz").status_code == 200
    assert "Connection" not in client.get("/").headers
    lifecycle.drain()
    for path in ("/readyz", "/v2/health/ready", "/v2/models/shades/ready"):
        assert client.get(path).status_code == 503
    assert client.get("/livez").status_code == 200
    assert client.get("/").headers["Connection"] == "close"


@pytest.mark.parametrize("value", ["0", "-1", "x", "70000", "1.5"])
def test_a_setting_that_is_no_number_is_named(value: str) -> None:
    with pytest.raises(StartError, match="SERVING_PORT"):
        load({"SERVING_PORT": value})


def test_settings_come_from_the_environment() -> None:
    settings = load(
        {"SERVING_PORT": "9000", "SERVING_DRAIN_MS": "250", "SERVING_WORKERS": "3", "SERVING_MODEL_DIR": "/m"}
    )
    assert (settings.port, settings.drain_seconds, settings.workers, settings.model_dir) == (9000, 0.25, 3, Path("/m"))
