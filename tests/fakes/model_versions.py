"""Model versions to test with: small, real ONNX files and their manifests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def linear_onnx(inputs: int = 4, classes: int = 3) -> bytes:
    """An ONNX model `x` [-1, inputs] FP32 -> `probabilities` [-1, classes] FP32."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"]),
        ],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", inputs])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(np.eye(inputs, classes, dtype=np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def manifest_of(files: dict[str, bytes], version: str = "2026-11-21-a", **changes: Any) -> dict[str, Any]:
    """A manifest for these files, of which the first is the model."""
    content: dict[str, Any] = {
        "format": "onnx",
        "service": "digits",
        "version": version,
        "created": "2026-11-21T00:00:00Z",
        "author": "ana",
        "files": [
            {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ],
        "model": next(iter(files)),
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
        "labels": ["a", "b", "c"],
        "metrics": {"accuracy": 0.97},
    }
    return content | changes


def write_version(
    folder: Path, version: str = "2026-11-21-a", files: dict[str, bytes] | None = None, **changes: Any
) -> Path:
    """Write a version's folder (`folder/<version>`): files and model.json."""
    files = files or {"model.onnx": linear_onnx(), "golden/0.bin": b"zero"}
    place = folder / version
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    (place / "model.json").write_text(json.dumps(manifest_of(files, version, **changes)), encoding="utf-8")
    return place
