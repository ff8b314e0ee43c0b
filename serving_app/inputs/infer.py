"""The Open Inference Protocol's infer request and answer, each tensor in JSON or in binary behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from serving_app.errors import bad_request
from serving_app.inputs import binary, tensors
from serving_app.inputs.pictures import ImagePreprocessor
from serving_app.model.model_dir import DATATYPES, ModelDir, Tensor

Arrays = dict[str, NDArray[Any]]
NOT_SPOKEN = ("classification", "shared_memory_region")
"""Parameters of other extensions. Whoever sends them would misread an answer that passes over them."""
NONE: Mapping[str, Any] = {}


class InferRequest(NamedTuple):
    """What is asked, checked."""

    id: str | None
    arrays: Arrays
    wanted: tuple[tuple[str, bool], ...]
    """Outputs in the order of the answer, each with whether it goes in binary."""
    pictures: Mapping[str, Sequence[object]] = {}
    """Inputs that came as pictures, as they came."""


class InferProtocol:
    """Reads requests for one model and writes their answers."""

    def __init__(self, model: ModelDir, images: ImagePreprocessor | None, *, max_batch: int) -> None:
        self._model = model
        self._images = images
        self._max_batch = max_batch
        self._most = tensors.bounds(model, max_batch)
        self._inputs = {tensor.name: tensor for tensor in model.inputs}
        self._outputs = {tensor.name: tensor for tensor in model.outputs}
        self._all = {flag: tuple((name, flag) for name in self._outputs) for flag in (False, True)}

    def read(self, body: bytes, json_size: int | None, *, quick: bool = False) -> InferRequest:
        """Return the request in a body.

        Args:
            body: JSON, or JSON and then tensors.
            json_size: bytes of the JSON, if tensors may follow it. 0 means that there is none: the body is the model's
                one input.
            quick: whether nothing is to be read that takes long.

        Raises:
            NotQuick: it would take long.
            RequestError: the body is not as the protocol or the model's signature says.
        """
        if json_size == 0:
            return self._read_raw(body)
        tail = None if json_size is None else binary.Tail(body, json_size)
        document = tensors.json_object(body if json_size is None else body[:json_size], self._most)
        entries = document.get("inputs")
        if not isinstance(entries, list) or not entries:
            raise bad_request("inputs", "give a list of tensors")
        arrays: Arrays = {}
        pictures: dict[str, Sequence[object]] = {}
        for i, entry in enumerate(entries):
            field = f"inputs[{i}]"
            if not isinstance(entry, dict):
                raise bad_request(field, "give an object with name, datatype, shape and data")
            name = entry.get("name")
            if not isinstance(name, str) or name not in self._inputs:
                raise bad_request(f"{field}.name", f"is {str(name)[:80]!r}; the model has {', '.join(self._inputs)}")
            if name in arrays:
                raise bad_request(f"{field}.name", f"{name} is there twice")
            arrays[name] = self._array(entry, self._inputs[name], field, tail, quick, pictures)
        if len(self._inputs) > 1:
            self._check_rows(arrays)
        if tail is not None:
            tail.end()
        given = document.get("id")
        if given is not None and not isinstance(given, str):
            raise bad_request("id", "give a text")
        wanted = self._wanted(document.get("outputs"), _parameters(document))
        return InferRequest(given, arrays, wanted, pictures)

    def write(self, request: InferRequest, outputs: Mapping[str, NDArray[Any]]) -> tuple[bytes, int | None]:
        """Return the answer's body, and how much of it is JSON if tensors follow that."""
        answer: dict[str, Any] = {"model_name": self._model.service, "model_version": self._model.version}
        if request.id is not None:
            answer["id"] = request.id
        answer["outputs"] = entries = []
        tail: list[bytes] = []
        for name, in_binary in request.wanted:
            tensor, array = self._outputs[name], outputs[name]
            if in_binary:
                data = binary.write(array, tensor)
                entries.append(
                    {
                        "name": name,
                        "datatype": tensor.datatype,
                        "shape": list(array.shape),
                        "parameters": {"binary_data_size": len(data)},
                    }
                )
                tail.append(data)
            else:
                entries.append(tensors.render(name, array, tensor))
        head = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
        return (b"".join((head, *tail)), len(head)) if tail else (head, None)

    def _array(
        self,
        entry: Mapping[str, Any],
        tensor: Tensor,
        field: str,
        tail: binary.Tail | None,
        quick: bool,
        pictures: dict[str, Sequence[object]],
    ) -> NDArray[Any]:
        parameters = _parameters(entry, field)
        if "binary_data_size" not in parameters:
            if self._images and entry.get("datatype") == "BYTES":
                given = entry.get("data")
                array = self._pictures(given, entry.get("shape"), field, f"{field}.data", quick)
                pictures[tensor.name] = given if isinstance(given, list) else []
                return array
            return tensors.parse(entry, tensor, field, max_batch=self._max_batch)
        if tail is None:
            raise bad_request(f"{field}.parameters.binary_data_size", f"needs the header {binary.HEADER}")
        if "data" in entry:
            raise bad_request(f"{field}.data", "is there beside binary_data_size; give one of them")
        data = tail.take(parameters["binary_data_size"], field)
        if self._images and entry.get("datatype") == "BYTES":
            shape = entry.get("shape")
            count = shape[0] if isinstance(shape, list) and shape and type(shape[0]) is int else 0
            self._check_count(count, f"{field}.shape")
            files = pictures[tensor.name] = binary.elements(data, count, field)
            return self._pictures(files, shape, field, field, quick)
        shape = tensors.declared(entry, tensor, field, max_batch=self._max_batch)
        return binary.read(data, tensor, shape, field)

    def _pictures(self, data: object, shape: object, field: str, items: str, quick: bool) -> NDArray[Any]:
        if self._images is None or not isinstance(data, list):
            raise bad_request(f"{field}.data", "give a list of base64 pictures")
        if shape not in ([len(data)], [len(data), 1]):
            raise bad_request(f"{field}.shape", f"is not [{len(data)}], the number of pictures")
        self._check_count(len(data), items)
        return self._images.batch(data, items, quick=quick)

    def _check_rows(self, arrays: Arrays) -> None:
        """Every input is there, and has as many rows as the others that take any number of them."""
        missing = [name for name in self._inputs if name not in arrays]
        if missing:
            raise bad_request("inputs", f"{missing[0]} is missing")
        rows = {name: len(arrays[name]) for name, tensor in self._inputs.items() if tensor.shape[:1] == (-1,)}
        if len(set(rows.values())) > 1:
            counts = ", ".join(f"{name} has {count}" for name, count in rows.items())
            raise bad_request("inputs", f"give as many rows of each input: {counts}")

    def _check_count(self, count: int, field: str) -> None:
        if not 1 <= count <= self._max_batch:
            raise bad_request(field, f"has {count} members; 1 to {self._max_batch} are taken")

    def _read_raw(self, body: bytes) -> InferRequest:
        if len(self._inputs) != 1:
            raise bad_request(binary.HEADER, f"is 0, but the model has {len(self._inputs)} inputs; send JSON first")
        (tensor,) = self._inputs.values()
        shape = _raw_shape(tensor, len(body))
        if tensor.shape[0] == -1 and shape[0] > self._max_batch:
            raise bad_request("body", f"has {shape[0]} rows; {self._max_batch} at most")
        data = memoryview(body)
        if tensor.datatype == "BYTES":
            data = memoryview(len(body).to_bytes(4, "little") + body)
        return InferRequest(None, {tensor.name: binary.read(data, tensor, shape, "body")}, self._all[True])

    def _wanted(self, value: object, parameters: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
        usual = _flag(parameters, "binary_data_output", "parameters", False) if parameters else False
        if value is None or value == []:
            return self._all[usual]
        if not isinstance(value, list):
            raise bad_request("outputs", "give a list of objects with a name, or leave it out")
        wanted: dict[str, bool] = {}
        for i, entry in enumerate(value):
            name = entry.get("name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or name not in self._outputs:
                raise bad_request(f"outputs[{i}].name", f"is {str(name)[:80]!r}; one of {', '.join(self._outputs)}")
            if name in wanted:
                raise bad_request(f"outputs[{i}].name", f"{name} is there twice")
            wanted[name] = _flag(_parameters(entry, f"outputs[{i}]"), "binary_data", f"outputs[{i}].parameters", usual)
        return tuple(wanted.items())


def _raw_shape(tensor: Tensor, size: int) -> tuple[int, ...]:
    """The one size that the signature leaves open is what the bytes make it."""
    open_sizes = tensor.shape.count(-1)
    if open_sizes > 1:
        raise bad_request(binary.HEADER, f"is 0, but {tensor.name} is {list(tensor.shape)}; send JSON first")
    known = 1
    for length in tensor.shape:
        known *= 1 if length == -1 else length
    element = size if tensor.datatype == "BYTES" else np.dtype(DATATYPES[tensor.datatype]).itemsize
    rows = size // (known * element) if size else 0
    if open_sizes and rows == 0:
        raise bad_request("body", f"holds no row of {tensor.name}, {tensor.datatype} {list(tensor.shape)}")
    return tuple(rows if length == -1 else length for length in tensor.shape)


def _parameters(entry: Mapping[str, Any], path: str = "") -> Mapping[str, Any]:
    value = entry.get("parameters")
    if value is None:
        return NONE
    field = f"{path}.parameters" if path else "parameters"
    if not isinstance(value, dict):
        raise bad_request(field, "give an object")
    for name in NOT_SPOKEN:
        if name in value:
            raise bad_request(f"{field}.{name}", "not spoken here")
    return value


def _flag(parameters: Mapping[str, Any], name: str, field: str, usual: bool) -> bool:
    value = parameters.get(name, usual)
    if not isinstance(value, bool):
        raise bad_request(f"{field}.{name}", "give true or false")
    return value
