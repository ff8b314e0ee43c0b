"""A model that declares its rows independent is doubted when it is published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model import trial
from nightferry.steps.model.mixed_rows import mixing
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.model.onnx_graph import read_graphs
from nightferry.steps.model.rows_trial import refuted
from nightferry.steps.model.try_model import try_model
from onnx import TensorProto, helper, numpy_helper

from serving_app.model import batching
from tests.serving_app import models

FOUR = 4
WEIGHTS = np.random.default_rng(3).standard_normal((FOUR, FOUR)).astype(np.float32)
CONSTANTS = {
    "weights": WEIGHTS,
    "eight_bits": np.clip(np.rint(WEIGHTS * 60), -127, 127).astype(np.int8),
    "scale": np.array(0.05, np.float32),
    "computed": np.array(1 / 127, np.float32),
    "zero": np.array(0, np.int8),
    "first": np.array([0], np.int64),
    "second": np.array([1], np.int64),
    "size": np.array([1, -1], np.int64),
    "back": np.array([-1, FOUR], np.int64),
}
node = helper.make_node


def write(folder: Path, nodes: list[Any], **changes: Any) -> Path:
    """Write a model of `x` [-1, 4] whose nodes give `y` [-1, 4]."""
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FOUR])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, FOUR])],
        [numpy_helper.from_array(array, name) for name, array in CONSTANTS.items()],
    )
    manifest = {
        "service": "four",
        "version": "v1",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, FOUR]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, FOUR]}],
        "rows": "independent",
    }
    return models.write(folder, graph, manifest | changes)


INDEPENDENT = {
    "a layer": [node("MatMul", ["x", "weights"], ["h"]), node("Softmax", ["h"], ["y"], axis=1)],
    "a mean over columns": [
        node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=1),
        node("Sub", ["x", "m"], ["y"]),
    ],
    "a fixed scale": [
        node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ],
    "a sum over weights": [
        node("ReduceSum", ["weights", "first"], ["s"], keepdims=1),
        node("Add", ["x", "s"], ["y"]),
    ],
    "the shape looked at": [
        node("Shape", ["x"], ["shape"]),
        node("ReduceProd", ["shape"], ["many"], axes=[0], keepdims=1),
        node("Reshape", ["x", "many"], ["flat"]),
        node("Reshape", ["flat", "back"], ["y"]),
    ],
}
DEPENDENT = {
    "DynamicQuantizeLinear": [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "eight_bits", "z", "zero"], ["i"]),
        node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "s"], ["y"]),
    ],
    "QuantizeLinear": [
        node("ReduceMax", ["x"], ["top"], keepdims=0),
        node("Mul", ["top", "computed"], ["s"]),
        node("QuantizeLinear", ["x", "s", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "s", "zero"], ["y"]),
    ],
    "ReduceMean": [node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1), node("Sub", ["x", "m"], ["y"])],
    "ReduceSum": [node("ReduceSum", ["x", "first"], ["m"], keepdims=1), node("Sub", ["x", "m"], ["y"])],
    "Softmax": [node("Softmax", ["x"], ["y"], axis=0)],
    "CumSum": [node("Constant", [], ["axis"], value_int=0), node("CumSum", ["x", "axis"], ["y"])],
    "in a condition": [
        node("ReduceMax", ["x"], ["top"], axes=[1], keepdims=0),
        node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True))),
        node(
            "If",
            ["yes"],
            ["y"],
            **{
                branch: helper.make_graph(
                    [node("Softmax", ["x"], [branch], axis=0)],
                    branch,
                    [],
                    [helper.make_tensor_value_info(branch, TensorProto.FLOAT, None)],
                )
                for branch in ("then_branch", "else_branch")
            },
        ),
    ],
}
MIXED_BY_SHAPE = [
    node("Reshape", ["x", "size"], ["long"]),
    node("ReduceMean", ["long"], ["m"], axes=[1], keepdims=1),
    node("Sub", ["x", "m"], ["y"]),
]
"""No operation goes over the first axis; what shows it is trying it."""


def named(folder: Path) -> list[str]:
    return list(mixing(read_graphs(folder / "model.onnx")))


def tried(folder: Path) -> str:
    parts = trial.app_of(folder).extensions["serving"]
    return refuted(parts.predictor.run, read_manifest(folder)[0], [])


@pytest.mark.parametrize("nodes", INDEPENDENT.values(), ids=INDEPENDENT)
def test_independent_rows_are_believed(tmp_path: Path, nodes: list[Any]) -> None:
    folder = write(tmp_path / "m", nodes)
    assert named(folder) == []
    assert tried(folder) == ""


@pytest.mark.parametrize(("name", "nodes"), DEPENDENT.items(), ids=DEPENDENT)
def test_an_operation_over_the_rows_is_named(tmp_path: Path, name: str, nodes: list[Any]) -> None:
    found = named(write(tmp_path / "m", nodes))
    assert found
    assert name in ("in a condition", found[-1].split(maxsplit=1)[0])


@pytest.mark.parametrize("nodes", [*DEPENDENT.values(), MIXED_BY_SHAPE], ids=[*DEPENDENT, "mixed by shape"])
def test_hostile_rows_show_it(tmp_path: Path, nodes: list[Any]) -> None:
    assert "beside" in tried(write(tmp_path / "m", nodes))


@pytest.mark.usefixtures("trial_here")
@pytest.mark.parametrize("nodes", [DEPENDENT["DynamicQuantizeLinear"], MIXED_BY_SHAPE], ids=["named", "tried"])
def test_publishing_refuses_it_with_what_to_change(tmp_path: Path, nodes: list[Any]) -> None:
    folder = write(tmp_path / "m", nodes)
    with pytest.raises(Permanent) as failure:
        try_model(folder, read_manifest(folder)[0], 60)
    assert failure.value.reason == Reason.MODEL_ROWS_DEPENDENT
    assert "leave rows out" in failure.value.sentence
    silent = write(tmp_path / "silent", nodes, rows=None)
    assert try_model(silent, read_manifest(silent)[0], 60).dependent == ""


def attacked(folder: Path) -> float:
    """The most by which a caller's answer is changed by another's outlier, when both are computed by the service."""
    parts = trial.app_of(folder).extensions["serving"]
    row, outlier = np.full((1, FOUR), 0.5, np.float32), np.array([[3e4, 0, 0, 0]], np.float32)
    alone = parts.service._run({"x": row})["y"]
    if not parts.service.batches:
        return 0.0
    together = parts.service.run_all([{"x": row}, {"x": outlier}])[0]["y"]
    return float(np.max(np.abs(alone - together)))


def test_an_outlier_changes_nobody_elses_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "m", DEPENDENT["DynamicQuantizeLinear"], rows=None)
    monkeypatch.setattr(batching, "WORTH", 100.0)
    monkeypatch.setattr(batching, "LONGEST", 100.0)
    assert attacked(folder) == 0
    # The control: a declaration that publishing would have refused, and a start that believes it.
    declared = write(tmp_path / "declared", DEPENDENT["DynamicQuantizeLinear"])
    monkeypatch.setattr(batching, "EQUAL_ABSOLUTE", 1e3)  # processors differ in how they round quantized sums
    assert attacked(declared) > 0.1


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    for content in (b"\x0f", b"\x3a\xff\x01abc", b"\x38\x01"):
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(ValueError, match="not"):
            read_graphs(tmp_path / "model.onnx")


def test_weights_are_passed_over(tmp_path: Path) -> None:
    (graph,) = read_graphs(write(tmp_path / "m", INDEPENDENT["a layer"]) / "model.onnx")
    assert graph.inputs == ("x",)
    assert [one.operator for one in graph.nodes] == ["MatMul", "Softmax"]
    assert graph.constants["first"] == (0,)
    assert graph.constants["back"] == (-1, FOUR)
