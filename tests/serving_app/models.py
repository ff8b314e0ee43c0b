"""Makes tiny real ONNX models with their model.json."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper
from PIL import Image

from serving_app.model.model_dir import DATATYPES

LABELS = ["dark", "middling", "light"]


def write_shades(folder: Path, *, slow: int = 0, hang: int = 0, deaf: int = 0, **changes: Any) -> Path:
    """Write a model for pictures of 2 x 2 grey pixels: softmax over how near their mean is to 0, 0.5 and 1.

    Args:
        slow: so many products of two 256 x 256 matrices are computed on the way, for tests that need time to pass.
        hang: so many are computed for a middling picture, and none for others.
        deaf: a middling picture takes that many times that many steps within one node, which no one can end.
        changes: members of model.json to replace.
    """
    pick = numpy_helper.from_array(np.array([[-8.0, 0.0, 8.0]] * 4, np.float32) / 4, "pick")
    shift = numpy_helper.from_array(np.array([4.0, 1.0, -4.0], np.float32), "shift")
    constants = [pick, shift]
    nodes = [helper.make_node("MatMul", ["image", "pick"], ["picked"])]
    last = "picked"
    if hang or deaf:
        constants += [
            numpy_helper.from_array(np.array(hang or deaf, np.int64), "many"),
            numpy_helper.from_array(np.array(128 / 255, np.float32), "half"),
            numpy_helper.from_array(np.array(1e-4, np.float32), "near"),
        ]
        nodes += _middling_nodes()
    if deaf:
        constants += _deaf_constants()
        nodes += _deaf_nodes()
        last = "kept"
    if slow or hang:
        constants += [
            numpy_helper.from_array(np.zeros((3, 256), np.float32), "widen"),
            numpy_helper.from_array(np.full((256, 256, 256), 1e-3, np.float32), "work"),
            numpy_helper.from_array(np.array(True), "go"),
        ]
        if slow:
            constants.append(numpy_helper.from_array(np.array(slow, np.int64), "times"))
        nodes += _slow_nodes()
        last = "kept"
    nodes += [
        helper.make_node("Add", [last, "shift"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "shades",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 3])],
        constants,
    )
    manifest = {
        "service": "shades",
        "version": "v1",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
        "image": {"input": "image", "width": 2, "height": 2, "mode": "L", "layout": "flat", "resample": "box"},
        "labels": LABELS,
    }
    return write(folder, graph, {**manifest, **changes})


def write_sum(folder: Path, **changes: Any) -> Path:
    """Write a model of two tensors, FP32 and INT64, whose output is their sum."""
    graph = helper.make_graph(
        [helper.make_node("Cast", ["b"], ["bf"], to=TensorProto.FLOAT), helper.make_node("Add", ["a", "bf"], ["sum"])],
        "sum",
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [None, 2]),
            helper.make_tensor_value_info("b", TensorProto.INT64, [None, 2]),
        ],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [None, 2])],
    )
    manifest = {
        "service": "sum",
        "version": "v1",
        "inputs": [
            {"name": "a", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "b", "datatype": "INT64", "shape": [-1, 2]},
        ],
        "outputs": [{"name": "sum", "datatype": "FP32", "shape": [-1, 2]}],
        "image": None,
        "labels": None,
    }
    return write(folder, graph, {**manifest, **changes})


def write_echo(folder: Path, datatype: str, shape: tuple[int, ...] = (-1,)) -> Path:
    """Write a model that answers what it is given."""
    kind = {"BYTES": TensorProto.STRING, "BOOL": TensorProto.BOOL}.get(datatype)
    kind = kind or helper.np_dtype_to_tensor_dtype(np.dtype(DATATYPES[datatype]))
    sizes = [None if size == -1 else size for size in shape]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "echo",
        [helper.make_tensor_value_info("x", kind, sizes)],
        [helper.make_tensor_value_info("y", kind, sizes)],
    )
    manifest: dict[str, Any] = {"service": "echo", "version": "v1", "image": None, "labels": None}
    for member, name in (("inputs", "x"), ("outputs", "y")):
        manifest[member] = [{"name": name, "datatype": datatype, "shape": list(shape)}]
    return write(folder, graph, manifest)


def picture(value: int, size: int = 2, kind: str = "PNG") -> bytes:
    """Return a grey picture of one value."""
    buffer = io.BytesIO()
    Image.new("L", (size, size), value).save(buffer, kind)
    return buffer.getvalue()


def text(data: bytes) -> str:
    """Return base64."""
    return base64.b64encode(data).decode()


def score_body(*pictures: bytes) -> dict[str, str]:
    """Return /score's request for pictures."""
    return {"input": json.dumps([text(data) for data in pictures])}


def _middling_nodes() -> list[Any]:
    """`times` is `many` for a picture whose mean is that of 128, and 0 for others."""
    return [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "half"], ["off"]),
        helper.make_node("Abs", ["off"], ["distance"]),
        helper.make_node("Less", ["distance", "near"], ["middling"]),
        helper.make_node("Cast", ["middling"], ["once"], to=TensorProto.INT64),
        helper.make_node("Mul", ["once", "many"], ["times"]),
    ]


def _deaf_constants() -> list[Any]:
    arrays: dict[str, NDArray[Any]] = {
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "columns": np.array([1], np.int64),
        "corner": np.array([[2.0, 0.0, 2.0, 0.0]], np.float32),
        "size": np.array([[0.0, 0.0, 1.0, 1.0]], np.float32),
        "lead": np.array([0], np.int64),
        "leads": np.array([0, 1], np.int64),
        "overlap": np.array([0.5], np.float32),
        "nought": np.array([0.0, 0.0, 0.0], np.float32),
    }
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def _deaf_nodes() -> list[Any]:
    """`times` boxes that do not touch: each is compared with all before it, in one node."""
    return [
        helper.make_node("Add", ["times", "one"], ["count"]),
        helper.make_node("Range", ["zero", "count", "one"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["places"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["places", "columns"], ["column"]),
        helper.make_node("Mul", ["column", "corner"], ["corners"]),
        helper.make_node("Add", ["corners", "size"], ["flat_boxes"]),
        helper.make_node("Unsqueeze", ["flat_boxes", "lead"], ["boxes"]),
        helper.make_node("Unsqueeze", ["places", "leads"], ["ranks"]),
        helper.make_node("Unsqueeze", ["count", "lead"], ["at_most"]),
        helper.make_node("NonMaxSuppression", ["boxes", "ranks", "at_most", "overlap"], ["chosen"]),
        helper.make_node("Cast", ["chosen"], ["chosen_f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["chosen_f"], ["chosen_sum"], keepdims=0),
        helper.make_node("Mul", ["chosen_sum", "nought"], ["nothing"]),
        helper.make_node("Add", ["picked", "nothing"], ["kept"]),
    ]


def _slow_nodes() -> list[Any]:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["go_on_out"]),
            helper.make_node("MatMul", ["state", "work"], ["product"]),
            helper.make_node("ReduceMax", ["product"], ["state_out"], axes=[0], keepdims=1),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state_out", TensorProto.FLOAT, None),
        ],
    )
    return [
        helper.make_node("MatMul", ["picked", "widen"], ["wide"]),
        helper.make_node("Loop", ["times", "go", "wide"], ["looped"], body=body),
        helper.make_node("ReduceSum", ["looped"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["picked", "nothing"], ["kept"]),
    ]


def write(folder: Path, graph: Any, manifest: dict[str, Any]) -> Path:
    """Write a graph and its model.json."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    data = model.SerializeToString()
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(data)
    document = {
        "format": "onnx",
        "created": "2026-01-01T00:00:00Z",
        "author": "tests",
        "files": [{"name": "model.onnx", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}],
        "model": "model.onnx",
        **manifest,
    }
    (folder / "model.json").write_text(json.dumps(document))
    return folder
