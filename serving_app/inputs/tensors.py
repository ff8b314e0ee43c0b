"""Tensors of the Open Inference Protocol's JSON, checked against the model's declared inputs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving_app.errors import bad_request
from serving_app.model.labels import number
from serving_app.model.model_dir import DATATYPES, ModelDir, Tensor

KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}
"""Kind of the wanted dtype -> kinds of JSON values that are taken for it."""
FP64 = np.dtype(np.float64)
LARGEST_SQUARED = float(np.finfo(np.float32).max) ** 2

LARGE = 256 * 1024
"""Bytes of a body that is looked through before it is parsed."""
SLACK = 10_000


PARSED = 192 * 1024 * 1024
"""Bytes that one request may take when it is parsed, whatever its model takes."""
LIST_BYTES, VALUE_BYTES = 112, 40
"""What Python keeps for a list or an object, and for a value: ten million empty lists take thirty times their text."""


@dataclass(frozen=True)
class Bounds:
    """What the largest request that makes sense to a model holds."""

    lists: float
    values: float


def bounds(model: ModelDir, max_batch: int) -> Bounds:
    """Return the bounds of a model's requests, without end if its signature leaves them open."""
    lists: float = SLACK
    values: float = SLACK
    for tensor in model.inputs:
        sizes = [max_batch if size == -1 and not i else size for i, size in enumerate(tensor.shape)]
        if -1 in sizes or tensor.datatype == "BYTES":
            return Bounds(math.inf, math.inf)
        values += math.prod(sizes)
        lists += sum(math.prod(sizes[:depth]) for depth in range(len(sizes)))
    return Bounds(lists, values + lists)


def json_object(body: bytes, most: Bounds) -> dict[str, Any]:
    """Return a body's JSON object.

    Raises:
        RequestError: it is not JSON, something else than an object, or holds far more than the model takes.
    """
    if len(body) > LARGE:
        lists, values = body.count(b"[") + body.count(b"{"), body.count(b",")
        if lists > most.lists:
            raise bad_request("body", "holds more lists and objects than the largest request to this model")
        if values > most.values:
            raise bad_request("body", "holds more values than the largest request to this model")
        if lists * LIST_BYTES + values * VALUE_BYTES > PARSED:
            raise bad_request("body", "holds too many lists and values for one request; send fewer rows, or binary")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request("body", f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise bad_request("body", "give a JSON object")
    return document


def parse(entry: Mapping[str, Any], tensor: Tensor, field: str, *, max_batch: int) -> NDArray[np.generic]:
    """Return one input as an array of the declared type and shape.

    Raises:
        RequestError: datatype, shape or data are not as declared; it names which member.
    """
    usual = _usual(entry, tensor, max_batch)
    if usual is not None:
        return usual
    shape = declared(entry, tensor, field, max_batch=max_batch)
    if "data" not in entry:
        raise bad_request(f"{field}.data", "missing")
    array = _array(entry["data"], tensor, f"{field}.data")
    if array.size != math.prod(shape):
        raise bad_request(f"{field}.data", f"has {array.size} values; shape {list(shape)} wants {math.prod(shape)}")
    return np.ascontiguousarray(array.reshape(shape))


def _usual(entry: Mapping[str, Any], tensor: Tensor, max_batch: int) -> NDArray[np.generic] | None:
    """Return what nearly every request holds, 32-bit floating-point numbers that are all in order, in a quarter of the
    time; None for anything else, which the careful way looks at and names."""
    shape, data, wanted = entry.get("shape"), entry.get("data"), tensor.shape
    if (
        type(shape) is not list
        or type(data) is not list
        or entry.get("datatype") != "FP32"
        or tensor.datatype != "FP32"
        or not shape
        or len(shape) != len(wanted)
    ):
        return None
    size = 1
    for have, want in zip(shape, wanted, strict=True):
        if type(have) is not int or have < 1 or (want != have and want != -1):
            return None
        size *= have
    if wanted[0] == -1 and shape[0] > max_batch:
        return None
    try:
        array = np.array(data)
    except (ValueError, OverflowError):
        return None
    if array.dtype is not FP64 or array.ndim != 1:
        if array.dtype.kind not in "iuf":
            return None
        array = array.astype(FP64, copy=False).reshape(-1)
    # A sum of squares below the square of the largest FP32: each is finite, and an FP32.
    if array.size != size or not array.dot(array) < LARGEST_SQUARED:
        return None
    return array.astype(np.float32).reshape(shape)


def declared(entry: Mapping[str, Any], tensor: Tensor, field: str, *, max_batch: int) -> tuple[int, ...]:
    """Return the shape that an entry gives its tensor.

    Raises:
        RequestError: the model's is another, or its datatype is.
    """
    datatype = entry.get("datatype")
    if datatype != tensor.datatype:
        raise bad_request(f"{field}.datatype", f"is {str(datatype)[:80]!r}; {tensor.name} is {tensor.datatype}")
    return _shape(entry.get("shape"), tensor, f"{field}.shape", max_batch)


def _shape(value: Any, tensor: Tensor, field: str, max_batch: int) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(size) is int and size >= 0 for size in value):
        raise bad_request(field, "give a list of whole numbers")
    if len(value) != len(tensor.shape) or any(
        want not in (-1, have) for have, want in zip(value, tensor.shape, strict=True)
    ):
        raise bad_request(field, f"is {value[:8]}; {tensor.name} is {list(tensor.shape)}")
    if 0 in value:
        raise bad_request(field, "holds no value")
    if value and tensor.shape[0] == -1 and value[0] > max_batch:
        raise bad_request(field, f"has {value[0]} rows; {max_batch} at most")
    return tuple(value)


def _array(data: Any, tensor: Tensor, field: str) -> NDArray[np.generic]:
    if not isinstance(data, list):
        raise bad_request(field, "give a list")
    if tensor.datatype == "BYTES":
        array = np.array(data, dtype=object)
        if not all(isinstance(value, str) for value in array.flat):
            raise bad_request(field, "give texts")
        return array
    try:
        array = np.array(data)
    except (ValueError, OverflowError) as error:
        raise bad_request(field, "give numbers in lists of equal length") from error
    wanted = np.dtype(DATATYPES[tensor.datatype])
    if wanted.kind == "f" and array.dtype.kind == "O":
        array = _with_missing(array)
    if array.dtype.kind not in KINDS[wanted.kind] and array.size:
        raise bad_request(field, f"holds something else than {tensor.datatype} values")
    if wanted.kind in "iu" and array.size:
        limits = np.iinfo(wanted)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise bad_request(field, f"holds a number that {tensor.datatype} does not")
    with np.errstate(over="ignore"):
        cast: NDArray[np.generic] = array.astype(wanted)
    if wanted.kind == "f" and np.isinf(cast).any():
        raise bad_request(field, f"holds a number that {tensor.datatype} does not")
    return cast


def _with_missing(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Take null for NaN, which imputers and decision trees know as a missing value; anything else stays what it is."""
    values = array.reshape(-1).tolist()
    if all(value is None or type(value) in (int, float) for value in values):
        with contextlib.suppress(OverflowError):
            return array.astype(np.float64)
    return array


def render(name: str, array: NDArray[np.generic], tensor: Tensor) -> dict[str, Any]:
    """Return one output as the protocol writes it."""
    flat = np.ascontiguousarray(array).reshape(-1)
    data: Any = flat
    if tensor.datatype == "BYTES":
        data = [str(value) for value in flat]
    elif flat.dtype.kind == "f" and not np.isfinite(flat).all():
        data = [number(value) for value in flat.tolist()]
    return {"name": name, "datatype": tensor.datatype, "shape": list(array.shape), "data": data}
