"""Tensors as bytes: the Open Inference Protocol's binary tensor data extension.

A body is JSON followed by the bytes of its tensors, one after the other; the header `Inference-Header-Content-Length`
says where the JSON ends. Numbers are little-endian in row order, BOOL is a byte, a BYTES element is its length in four
bytes and then itself.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_app.errors import RequestError, bad_request
from serving_app.model.model_dir import DATATYPES, Tensor

HEADER = "Inference-Header-Content-Length"
_LENGTH = struct.Struct("<I")


class Tail:
    """The bytes behind a body's JSON, taken tensor by tensor."""

    def __init__(self, body: bytes, json_size: int) -> None:
        """Begin behind the JSON.

        Raises:
            RequestError: the body is shorter than its JSON should be.
        """
        if json_size > len(body):
            raise bad_request(HEADER, f"is {json_size}, but the body has {len(body)} bytes")
        self._rest = memoryview(body)[json_size:]

    def take(self, size: object, field: str) -> memoryview:
        """Return the next tensor's bytes.

        Args:
            size: what its `binary_data_size` says.
            field: the tensor's name in messages, `inputs[0]`.

        Raises:
            RequestError: no size, or not so many bytes are left.
        """
        if type(size) is not int or size < 0:
            raise bad_request(f"{field}.parameters.binary_data_size", "give a whole number of bytes")
        if size > len(self._rest):
            raise bad_request(
                f"{field}.parameters.binary_data_size", f"is {size}, but {len(self._rest)} bytes are left in the body"
            )
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def end(self) -> None:
        """Check that nothing is left.

        Raises:
            RequestError: bytes that belong to no tensor.
        """
        if len(self._rest):
            raise bad_request("body", f"has {len(self._rest)} bytes behind the last tensor")


def json_size(header: str | None) -> int | None:
    """Return where a body's JSON ends; None without the header.

    Raises:
        RequestError: the header is not a number of bytes.
    """
    if header is None:
        return None
    if not header.isascii() or not header.isdigit() or len(header) > 12:
        raise RequestError(400, HEADER, "give a whole number of bytes")
    return int(header)


def read(data: memoryview, tensor: Tensor, shape: tuple[int, ...], field: str) -> NDArray[Any]:
    """Return a tensor from its bytes; numbers are not copied, unless they begin at an odd place.

    Raises:
        RequestError: not as many bytes as the shape wants, or not what the datatype holds.
    """
    count = math.prod(shape)
    if tensor.datatype == "BYTES":
        texts = [_text(item, f"{field}[{i}]") for i, item in enumerate(elements(data, count, field))]
        return np.array(texts, dtype=object).reshape(shape)
    dtype = np.dtype(DATATYPES[tensor.datatype]).newbyteorder("<")
    if len(data) != count * dtype.itemsize:
        raise bad_request(field, f"has {len(data)} bytes; {tensor.datatype} of shape {list(shape)} has "
                                 f"{count * dtype.itemsize}")  # fmt: skip
    if dtype.kind == "b" and count and int(np.frombuffer(data, np.uint8).max()) > 1:
        raise bad_request(field, "holds a byte that is neither 0 nor 1")
    array = np.require(np.frombuffer(data, dtype).reshape(shape), dtype.newbyteorder("="), ["C", "ALIGNED"])
    if dtype.kind == "f" and np.isinf(array).any():
        raise bad_request(field, "holds a number that is not finite")
    return array


def elements(data: memoryview, count: int, field: str) -> list[bytes]:
    """Return the elements of a BYTES tensor.

    Raises:
        RequestError: there are more or fewer, or one is longer than what is left.
    """
    found: list[bytes] = []
    start = 0
    while start < len(data) and len(found) < count:
        end = start + _LENGTH.size
        if end <= len(data):
            end += _LENGTH.unpack_from(data, start)[0]
        if end > len(data):
            raise bad_request(f"{field}[{len(found)}]", "is longer than what is left of the tensor's bytes")
        found.append(bytes(data[start + _LENGTH.size : end]))
        start = end
    if len(found) != count or start != len(data):
        raise bad_request(field, f"does not hold {count} elements, each its length in four bytes and then itself")
    return found


def write(array: NDArray[Any], tensor: Tensor) -> bytes:
    """Return a tensor's bytes."""
    if tensor.datatype == "BYTES":
        items = [str(value).encode() for value in array.reshape(-1)]
        return b"".join(part for item in items for part in (_LENGTH.pack(len(item)), item))
    return np.ascontiguousarray(array, np.dtype(DATATYPES[tensor.datatype]).newbyteorder("<")).tobytes()


def _text(item: bytes, field: str) -> str:
    try:
        return item.decode()
    except UnicodeDecodeError as error:
        raise bad_request(field, "is not UTF-8") from error
