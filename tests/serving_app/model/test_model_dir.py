"""A model directory that is wrong is refused at start with one sentence that names what and where."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving_app import settings as settings_module
from serving_app.app import create_app
from serving_app.errors import StartError
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.settings import Settings, load, variable
from tests.serving_app.models import write_shades, write_sum
from tests.serving_app.running import ROOT, free_port

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
        (
            {"inputs": [{"name": "image", "datatype": "FP64", "shape": [-1, 4]}], "image": None},
            "declared FP64, the model's is FP32",
        ),
        (
            {"inputs": [{"name": "image", "datatype": "INT64", "shape": [-1, 4]}]},
            "is INT64, and a picture becomes FP32, FP16, UINT8",
        ),
        (
            {"files": [{"name": "../x", "size": 1, "sha256": "0" * 64}]},
            r"files\[0\].name is '../x'; give a path in the",
        ),
        ({"created": "2026-01-01T00:00:00"}, "created is '2026-01-01T00:00:00'; give a time with its zone"),
        ({"author": None}, "author is missing"),
        (
            {"golden": [{"image": "golden/0.png", "label": "dark"}]},
            "golden names golden/0.png, which is not among files",
        ),
        ({"inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 5]}], "image": None}, "declared"),
        ({"outputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]}, "the model has no x; it has scores"),
        ({"labels": ["a", "b"]}, "labels are 2"),
        ({"labels": ["a"], "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, -1]}]}, "labels are 1"),
        ({"labels": None}, "labels are missing"),
        (
            {"outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1]}]},
            r"output scores is \[-1\]; list an output with a row of scores",
        ),
        ({"scores": "guesses"}, "scores is 'guesses'"),
        ({"image": {**IMAGE, "width": 3}}, "image makes tensors of shape"),
        ({"image": {**IMAGE, "mode": "CMYK"}}, "image.mode is 'CMYK'"),
        ({"image": {**IMAGE, "mean": [0.1, 0.2]}}, "image.mean"),
        ({"image": {**IMAGE, "input": "x"}}, "not among inputs"),
        ({"image": {**IMAGE, "surprise": 1}}, "surprise"),
        ({"files": [{"name": "model.onnx", "size": 1, "sha256": "0" * 64}]}, "should have 1 bytes"),
        ({"inputz": []}, "inputz is not a member; did you mean inputs?"),
        ({"colour": 1}, "colour is not a member; there are format, service"),
        ({"image": {**IMAGE, "widht": 2}}, "image.widht is not a member; did you mean width?"),
        ({"image": {"input": "image"}}, "image.width is missing"),
        ({"image": {**IMAGE, "width": "2"}}, "image.width is '2'; give a whole number"),
        ({"image": {**IMAGE, "height": 0}}, "image.height is 0; give a whole number"),
        ({"image": {**IMAGE, "top_k": True}}, "image.top_k is True; give a whole number"),
        ({"image": {**IMAGE, "mean": 0.5}}, "image.mean is 0.5; give a list of numbers"),
        ({"image": {**IMAGE, "std": [0.0]}}, "image.std holds 0"),
        ({"image": {**IMAGE, "scale": float("nan")}}, "image.scale is nan; give a number"),
        ({"image": {**IMAGE, "invert": "no"}}, "image.invert is 'no'; give true or false"),
        ({"image": {**IMAGE, "resample": "fast"}}, "image.resample is 'fast'; one of nearest"),
        ({"image": {**IMAGE, "fit": "fill"}}, "image.fit is 'fill'; one of stretch, cover, contain"),
        ({"image": {**IMAGE, "resize": 4}}, 'image.resize goes with "fit": "cover"'),
        ({"image": {**IMAGE, "fit": "cover", "resize": 1}}, "image.resize is 1, too little to cut 2 x 2"),
        ({"image": {**IMAGE, "padding": [1]}}, 'image.padding goes with "fit": "contain"'),
        ({"image": {**IMAGE, "fit": "contain", "padding": [1, 2]}}, "image.padding wants 1 or 3"),
        ({"image": {**IMAGE, "fit": "contain", "padding": [256]}}, "image.padding wants 1 or 3 whole numbers"),
        ({"image": {**IMAGE, "fit": "contain", "padding": [1, 2, 3]}}, "image.padding wants 1 number"),
        ({"image": {**IMAGE, "datatype": "FP16"}}, "image.datatype is not a member"),
        (
            {
                "image": {**IMAGE, "mean": [0.5]},
                "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 4]}],
            },
            "image makes numbers from -0.5 to 254.5, which UINT8 does not hold",
        ),
        (
            {
                "image": {**IMAGE, "std": [1e-5]},
                "inputs": [{"name": "image", "datatype": "FP16", "shape": [-1, 4]}],
            },
            "image makes numbers from 0 to 100000, which FP16 does not hold",
        ),
        ({"image": [1]}, "image is a list; give an object"),
        ({"labels": "abc"}, "labels is 'abc'; give a list"),
        ({"labels": ["a", 2, "c"]}, "labels holds something else than texts"),
        ({"inputs": {}}, "inputs is an object; give a list"),
        ({"inputs": ["image"]}, r"inputs\[0\] is a text; give an object"),
        ({"inputs": [{"name": "image", "datatype": "FP32"}]}, r"inputs\[0\].shape is missing"),
        ({"inputs": [{"name": "image", "datatype": "FP32", "shape": "x"}]}, r"inputs\[0\].shape is 'x'; give a list"),
        ({"inputs": [{"name": "image", "datatype": "FP32", "shape": [0]}]}, r"inputs\[0\].shape is \[0\]"),
        ({"service": None}, "service is missing"),
        ({"version": ["v"]}, "version is a list; give a text"),
        ({"files": None}, "files is missing"),
        ({"files": [{"name": "model.onnx"}]}, r"files\[0\].size is missing"),
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
        (lambda path: (path / "model.json").write_text('{\n"format": '), "not JSON, line 2, column 11"),
        (lambda path: (path / "model.json").write_bytes(b"\xff\xfe"), "not UTF-8"),
        (lambda path: (path / "model.json").write_text("[" * 100_000), "model.json: "),
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


def test_a_folder_that_is_none_is_told_from_one_without_a_model(tmp_path: Path) -> None:
    path = write_shades(tmp_path / "models" / "shades")
    for wrong, words in (
        (tmp_path / "nowhere", "no such folder; give one that has a model.json with --model-dir"),
        (path / "model.onnx", "it is a file; give the folder"),
        (tmp_path / "models", "no model.json there, but in its folders shades; give one of them"),
        (tmp_path, "no model.json there"),
    ):
        with pytest.raises(StartError, match=f"no model in {wrong}: {words}"):
            start(wrong)


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), **environ}
    return subprocess.run(
        [sys.executable, "-m", "serving_app", *words], env=environ, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("words", "environ", "said"),
    [
        (["--model-dir", "/nowhere"], {}, "serving_app: no model in /nowhere: no such folder"),
        (["--port", "99999"], {}, "--port: '99999' is not a whole number from 1 to 65535"),
        (["--port", "http"], {}, "--port: 'http' is not a whole number"),
        (["--workers", "0"], {}, "--workers: '0' is not a whole number"),
        (["--host", "256.1.1.1"], {}, "cannot listen on 256.1.1.1"),
        (["model"], {}, "unrecognized arguments: model"),
        ([], {"SERVING_PORT": "abc"}, "SERVING_PORT is 'abc'; give a whole number"),
        ([], {"SERVING_QEUE_MS": "1"}, "SERVING_QEUE_MS is not a setting; did you mean SERVING_QUEUE_MS?"),
        ([], {"SERVING_X": "1"}, "SERVING_X is not a setting; there are SERVING_MODEL_DIR, SERVING_HOST"),
        ([], {"NIGHTFERRY_SERVICE": "other"}, "NIGHTFERRY_SERVICE says other"),
    ],
)
def test_a_mistake_on_the_command_line_is_said_in_words(
    picture_dir: Path, words: list[str], environ: dict[str, str], said: str
) -> None:
    if "--model-dir" not in words:
        words = ["--model-dir", str(picture_dir), *words]
    ended = run(*words, **environ)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_named(picture_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--model-dir", str(picture_dir), "--host", "127.0.0.1", "--port", str(port))
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in ended.stderr
    assert "Traceback" not in ended.stderr


def spoil(path: Path, *, checksum: bool) -> None:
    """Change the model's bytes; `checksum`: and have model.json agree."""
    model = path / "model.onnx"
    data = b"x" * model.stat().st_size
    model.write_bytes(data)
    if checksum:
        document = json.loads((path / "model.json").read_text())
        document["files"][0]["sha256"] = hashlib.sha256(data).hexdigest()
        (path / "model.json").write_text(json.dumps(document))


def test_a_file_that_is_no_model_ends_the_service_with_one_sentence(picture_dir: Path) -> None:
    spoil(picture_dir, checksum=True)
    ended = run("--model-dir", str(picture_dir), "--port", str(free_port()), SERVING_WORKERS="2")
    assert ended.returncode == 3
    assert ended.stderr.count(f"{picture_dir / 'model.onnx'} does not open") == 1
    assert "Traceback" not in ended.stderr


def test_a_file_that_is_not_the_one_described_ends_the_service(picture_dir: Path) -> None:
    spoil(picture_dir, checksum=False)
    ended = run("--model-dir", str(picture_dir), "--port", str(free_port()))
    assert ended.returncode == 2
    assert f"{picture_dir / 'model.onnx'} is not the file that model.json describes: its sha256 is" in ended.stderr


def test_without_its_packages_the_service_says_how_to_install_them(picture_dir: Path) -> None:
    words = [sys.executable, "-S", "-m", "serving_app", "--model-dir", str(picture_dir)]  # -S: no site-packages
    ended = subprocess.run(words, cwd=ROOT, env={}, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "lacks flask, httptools, numpy, onnxruntime, orjson, PIL, uvloop; install them:" in ended.stderr
    assert ended.stderr.rstrip().endswith("requirements.txt")
    assert "Traceback" not in ended.stderr


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


def test_every_setting_has_its_variable() -> None:
    read = set(re.findall(r'"(SERVING_\w+)"', Path(settings_module.__file__).read_text()))
    assert {variable(field.name) for field in dataclasses.fields(Settings)} == read
