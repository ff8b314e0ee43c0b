"""The two models: a small one for digits, and one of ResNet-50's size, with random weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from benchmarks.serving_contenders.model import MEAN, STD

PHOTO = {
    "input": "image",
    "width": 224,
    "height": 224,
    "mode": "RGB",
    "layout": "nchw",
    "mean": list(MEAN),
    "std": list(STD),
}
STAGES = ((64, 256, 3), (128, 512, 4), (256, 1024, 6), (512, 2048, 3))


def write_small(folder: Path, **members: Any) -> dict[str, Any]:
    """Write a linear model for 8 x 8 digits, with further members of model.json."""
    numbers = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(numbers.normal(size=(64, 10)).astype(np.float32), "w"),
        numpy_helper.from_array(np.zeros(10, np.float32), "b"),
    ]
    nodes = [
        helper.make_node("Gemm", ["image", "w", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return _write(folder, "digits", nodes, weights, [64], 10, **members)


def write_resnet50(folder: Path) -> dict[str, Any]:
    """Write a network of ResNet-50's layers (25.5 million weights, batch norm folded in)."""
    numbers = np.random.default_rng(0)
    nodes: list[Any] = []
    weights: list[Any] = []

    def conv(x: str, name: str, cin: int, cout: int, size: int, stride: int, relu: bool = True) -> str:
        scale = np.float32(np.sqrt(1 / (cin * size * size)))
        weights.append(
            numpy_helper.from_array(numbers.standard_normal((cout, cin, size, size), np.float32) * scale, f"{name}w")
        )
        weights.append(numpy_helper.from_array(np.zeros(cout, np.float32), f"{name}b"))
        pads = [size // 2] * 4
        nodes.append(
            helper.make_node(
                "Conv", [x, f"{name}w", f"{name}b"], [name], kernel_shape=[size, size], strides=[stride] * 2, pads=pads
            )
        )
        if relu:
            nodes.append(helper.make_node("Relu", [name], [f"{name}r"]))
        return f"{name}r" if relu else name

    x = conv("image", "stem", 3, 64, 7, 2)
    nodes.append(helper.make_node("MaxPool", [x], ["pool"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))
    x, channels = "pool", 64
    for s, (inner, outer, blocks) in enumerate(STAGES):
        for b in range(blocks):
            stride, name = (2 if s and not b else 1), f"s{s}b{b}"
            y = conv(x, f"{name}a", channels, inner, 1, 1)
            y = conv(y, f"{name}b", inner, inner, 3, stride)
            y = conv(y, f"{name}c", inner, outer, 1, 1, relu=False)
            short = conv(x, f"{name}d", channels, outer, 1, stride, relu=False) if not b else x
            nodes += [
                helper.make_node("Add", [y, short], [f"{name}s"]),
                helper.make_node("Relu", [f"{name}s"], [f"{name}o"]),
            ]
            x, channels = f"{name}o", outer
    weights += [
        numpy_helper.from_array(numbers.standard_normal((2048, 1000), np.float32) * np.float32(0.02), "fw"),
        numpy_helper.from_array(np.zeros(1000, np.float32), "fb"),
    ]
    nodes += [
        helper.make_node("GlobalAveragePool", [x], ["gap"]),
        helper.make_node("Flatten", ["gap"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fw", "fb"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return _write(folder, "resnet50", nodes, weights, [3, 224, 224], 1000, image=PHOTO)


def _write(
    folder: Path, name: str, nodes: list[Any], weights: list[Any], shape: list[int], classes: int, **members: Any
) -> dict[str, Any]:
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, classes])],
        weights,
    )
    folder.mkdir(parents=True)
    path = folder / "model.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    manifest = {
        "format": "onnx",
        "service": name,
        "version": "benchmark",
        "created": "2026-01-01T00:00:00Z",
        "author": "benchmarks",
        "files": [
            {"name": path.name, "size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        ],
        "model": path.name,
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, *shape]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]}],
        "labels": [str(i) for i in range(classes)],
        **members,
    }
    (folder / "model.json").write_text(json.dumps(manifest))
    return manifest
