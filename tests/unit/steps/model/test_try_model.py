"""What the service cannot start with, or cannot answer, is refused when it is published."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model import try_model as trying
from nightferry.steps.model.check_signature import check_signature
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.model.trial import TrialReport, try_here
from nightferry.steps.model.try_model import try_model
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests.fakes import golden_models
from tests.serving_app import models

GOLDEN = [{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}], "label": "b"}]


def write(folder: Path, nodes: list[Any], **changes: Any) -> Path:
    """A model of `x` [-1, 2] whose nodes give `scores` [-1, 2]."""
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2])],
        [numpy_helper.from_array(np.array([0.5], np.float32), "half")],
    )
    manifest = {
        "service": "two",
        "version": "v1",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 2]}],
        "labels": ["a", "b"],
        "golden": GOLDEN,
    }
    return models.write(folder, graph, manifest | changes)


SOFTMAX = [helper.make_node("Softmax", ["x"], ["scores"], axis=1)]
RAW = [helper.make_node("Mul", ["x", "half"], ["scores"])]
EACH = [helper.make_node("Sigmoid", ["x"], ["scores"])]


def fault(folder: Path) -> Permanent:
    manifest, _ = read_manifest(folder)
    with pytest.raises(Permanent) as failure:
        try_model(folder, manifest, 60)
    return failure.value


def test_a_process_of_its_own_starts_the_service_and_tells_time_and_memory(tmp_path: Path):
    folder = write(tmp_path / "m", SOFTMAX)
    found = try_model(folder, read_manifest(folder)[0], 60)
    assert (found.faults, found.outside, found.sums) == ((), "", "")
    assert found.seconds > 0
    assert 20_000_000 < found.memory < 2_000_000_000


def test_a_start_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trying, "ANSWERS", 0)
    folder = models.write_shades(tmp_path / "m", slow=1_000_000)
    with pytest.raises(Permanent) as failure:
        try_model(folder, read_manifest(folder)[0], 1)
    assert failure.value.reason == Reason.MODEL_NOT_SERVABLE
    assert "within 1 s" in failure.value.sentence


def test_a_process_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As a model does that takes all memory."""
    monkeypatch.setattr(trying.sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "python").chmod(0o755)
    failure = fault(write(tmp_path / "m", SOFTMAX))
    assert failure.reason == Reason.MODEL_NOT_SERVABLE
    assert "killed" in failure.sentence


def test_a_missing_package_is_no_fault_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trying, "_run", lambda folder, manifest, limit: TrialReport(missing="flask"))
    failure = fault(write(tmp_path / "m", SOFTMAX))
    assert failure.reason == Reason.SETTING_MISSING
    assert "flask" in failure.sentence


@pytest.mark.usefixtures("trial_here")
def test_a_model_that_fails_on_its_first_input_is_refused_in_the_services_own_words(tmp_path: Path):
    """It opens, and its signature is as declared: only computing tells."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("Softmax", ["flat"], ["scores"], axis=1),
    ]
    folder = write(tmp_path / "m", [helper.make_node("Constant", [], ["shape"], value_ints=[-1, 5]), *nodes])
    manifest, _ = read_manifest(folder)
    assert check_signature(folder, manifest)
    failure = fault(folder)
    assert failure.reason == Reason.MODEL_NOT_SERVABLE
    assert "the model fails on golden example 0" in failure.sentence


@pytest.mark.usefixtures("trial_here")
def test_scores_outside_of_what_is_declared_are_refused(tmp_path: Path):
    golden = [{**GOLDEN[0], "inputs": [{**GOLDEN[0]["inputs"][0], "data": [1, 6]}]}]
    failure = fault(write(tmp_path / "m", RAW, golden=golden))
    assert failure.reason == Reason.MODEL_SCORES_WRONG
    assert "golden example 0 gets 3;" in failure.sentence
    assert '"scores": "logits"' in failure.sentence
    assert try_here(write(tmp_path / "logits", RAW, golden=golden, scores="logits")).outside == ""


@pytest.mark.usefixtures("trial_here")
def test_rows_that_do_not_add_up_to_1_are_told(tmp_path: Path):
    """They may be right: each label a question of its own."""
    folder = write(tmp_path / "m", EACH)
    found = try_model(folder, read_manifest(folder)[0], 60)
    assert found.sums == "the row of golden example 0 adds up to 1.61"


@pytest.mark.usefixtures("trial_here")
def test_a_golden_example_with_another_label_is_refused(tmp_path: Path):
    failure = fault(write(tmp_path / "m", SOFTMAX, golden=[{**GOLDEN[0], "label": "a"}]))
    assert failure.reason == Reason.MODEL_GOLDEN_WRONG
    assert "golden example 0 should give a, got b" in failure.sentence


def picture(kind: str, size: tuple[int, int] = (2, 2)) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, 0).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.usefixtures("trial_here")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (picture("TIFF"), "not a picture; give PNG, JPEG, GIF, WebP or BMP"),
        (picture("PNG", (5000, 5000)), "the picture is 5000 x 5000; 24000000 pixels are taken in one request"),
        (picture("PNG")[:-30], "the picture is broken or cut short"),
    ],
    ids=["type", "size", "broken"],
)
def test_a_golden_picture_that_the_service_cannot_take_is_refused(tmp_path: Path, content: bytes, said: str):
    golden_models.write_shades(tmp_path / "m")
    document = json.loads((tmp_path / "m" / "model.json").read_text())
    (tmp_path / "m" / "golden" / "dark.png").write_bytes(content)
    for file in document["files"]:
        if file["name"] == "golden/dark.png":
            file |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (tmp_path / "m" / "model.json").write_text(json.dumps(document))
    failure = fault(tmp_path / "m")
    assert failure.reason == Reason.MODEL_NOT_SERVABLE
    assert "golden/dark.png" in failure.sentence
    assert said in failure.sentence


def test_an_output_that_is_no_tensor_is_refused_with_what_to_change(tmp_path: Path):
    """As scikit-learn's classifiers are exported if nothing is said."""
    row = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    graph = helper.make_graph(
        [helper.make_node("ZipMap", ["x"], ["scores"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])],
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_value_info("scores", helper.make_sequence_type_proto(row))],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    folder = write(tmp_path / "m", SOFTMAX)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(Permanent) as failure:
        check_signature(folder, read_manifest(folder)[0])
    assert failure.value.reason == Reason.MODEL_SIGNATURE_WRONG
    assert "seq(map(int64,tensor(float)" in failure.value.sentence
    assert "'zipmap': False" in failure.value.sentence
