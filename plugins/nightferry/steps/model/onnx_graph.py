"""What an ONNX file computes: its nodes, read without the package `onnx`, which neither releases nor the service have.

The file is protobuf, of which only the few fields named here are read. Weights are passed over, so that a file of
gigabytes takes no memory. The numbers are those of onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SMALL = 1024
"""Bytes of a tensor that may hold axes; others are weights."""
_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT = 1, 5, 11
_FUNCTION_INPUT, _FUNCTION_NODE = 4, 7
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_INTS, _ATTRIBUTE_TEXTS = (
    1,
    3,
    5,
    6,
    8,
    9,
)
_TENSOR_INT64S, _TENSOR_NAME, _TENSOR_RAW = 7, 8, 9
_INPUT_NAME = 1

Value = int | memoryview


@dataclass(frozen=True)
class Node:
    """One operation."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: Mapping[str, tuple[int, ...]]
    """The attributes that are whole numbers, among them a constant's."""
    texts: Mapping[str, tuple[str, ...]]
    """The attributes that are lists of texts."""
    graphs: tuple[Graph, ...]
    """What a loop or a condition computes."""


@dataclass(frozen=True)
class Graph:
    """Operations in their order."""

    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, tuple[int, ...]]
    """Names of the tensors that the file holds, with their whole numbers where they are few."""


def read_graphs(path: Path) -> tuple[Graph, ...]:
    """Return the model's graph, and behind it the functions that it defines.

    Raises:
        ValueError: the file is not protobuf.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return _model(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))


def _model(content: memoryview) -> tuple[Graph, ...]:
    graphs, functions = [], []
    for number, value in _fields(content):
        if number == _MODEL_GRAPH:
            graphs.append(_graph(_part(value)))
        elif number == _MODEL_FUNCTION:
            functions.append(_function(_part(value)))
    return (*graphs, *functions)


def _graph(content: memoryview) -> Graph:
    inputs: list[str] = []
    nodes: list[Node] = []
    constants: dict[str, tuple[int, ...]] = {}
    for number, value in _fields(content):
        if number == _GRAPH_NODE:
            nodes.append(_node(_part(value)))
        elif number == _GRAPH_INPUT:
            inputs.extend(_text(each) for field, each in _fields(_part(value)) if field == _INPUT_NAME)
        elif number == _GRAPH_INITIALIZER:
            name, numbers = _tensor(_part(value))
            constants[name] = numbers
    return Graph(tuple(name for name in inputs if name not in constants), tuple(nodes), constants)


def _function(content: memoryview) -> Graph:
    found = list(_fields(content))
    inputs = tuple(_text(value) for number, value in found if number == _FUNCTION_INPUT)
    return Graph(inputs, tuple(_node(_part(value)) for number, value in found if number == _FUNCTION_NODE), {})


def _node(content: memoryview) -> Node:
    found = list(_fields(content))
    numbers: dict[str, tuple[int, ...]] = {}
    texts: dict[str, tuple[str, ...]] = {}
    graphs: list[Graph] = []
    for number, value in found:
        if number == _NODE_ATTRIBUTE:
            _attribute(_part(value), numbers, texts, graphs)
    return Node(
        operator="".join(_text(value) for number, value in found if number == _NODE_OPERATOR),
        inputs=tuple(_text(value) for number, value in found if number == _NODE_INPUT),
        outputs=tuple(_text(value) for number, value in found if number == _NODE_OUTPUT),
        numbers=numbers,
        texts=texts,
        graphs=tuple(graphs),
    )


def _attribute(
    content: memoryview,
    numbers: dict[str, tuple[int, ...]],
    texts: dict[str, tuple[str, ...]],
    graphs: list[Graph],
) -> None:
    name = ""
    found: list[int] = []
    words: list[str] = []
    for number, value in _fields(content):
        if number == _ATTRIBUTE_NAME:
            name = _text(value)
        elif number in (_ATTRIBUTE_INT, _ATTRIBUTE_INTS):
            found.extend(_whole(value))
        elif number == _ATTRIBUTE_TENSOR:
            found.extend(_tensor(_part(value))[1])
        elif number == _ATTRIBUTE_GRAPH:
            graphs.append(_graph(_part(value)))
        elif number == _ATTRIBUTE_TEXTS:
            words.append(_text(value))
    numbers[name] = tuple(found)
    texts[name] = tuple(words)


def _tensor(content: memoryview) -> tuple[str, tuple[int, ...]]:
    name = ""
    numbers: list[int] = []
    for number, value in _fields(content):
        if number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_INT64S and len(content) <= SMALL:
            numbers.extend(_whole(value))
        elif number == _TENSOR_RAW and len(content) <= SMALL and len(_part(value)) % 8 == 0:
            raw = bytes(_part(value))
            numbers.extend(int.from_bytes(raw[i : i + 8], "little", signed=True) for i in range(0, len(raw), 8))
    return name, tuple(numbers)


def _fields(content: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield each field's number and value, a number or bytes."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(content, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _varint(content, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("not protobuf")
        if size > len(content) - at:
            raise ValueError("not whole")
        yield key >> 3, content[at : at + size]
        at += size


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 64:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("not protobuf")


def _whole(value: Value) -> Iterator[int]:
    """Yield signed numbers, whether they come one by one or packed."""
    if isinstance(value, int):
        yield value - (1 << 64) if value >> 63 else value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield from _whole(number)


def _part(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("not an ONNX model")
    return value


def _text(value: Value) -> str:
    return bytes(_part(value)).decode(errors="replace")
