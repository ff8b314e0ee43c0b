"""What ONNX Runtime says of a model's inputs and outputs, in the words of model.json."""

from __future__ import annotations

from collections.abc import Sequence

ONNX_TYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
}
"""ONNX Runtime's word for an element type -> the Open Inference Protocol's datatype."""


def element(kind: str) -> str:
    """Return the element type of a tensor: `float` of `tensor(float)`. What is no tensor stays as it is."""
    return kind.removeprefix("tensor(").removesuffix(")")


def shapes_agree(declared: Sequence[int], actual: Sequence[int | str | None]) -> bool:
    """Return whether shapes agree: a size that either side leaves open agrees with any."""
    return len(declared) == len(actual) and all(
        want == -1 or not isinstance(have, int) or want == have for want, have in zip(declared, actual, strict=True)
    )
