"""What an ONNX file says of itself: inputs, outputs, and the labels of a classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightferry.entities.model_version import ONNX_TYPES, Tensor, element, scores_fit
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.onnx_graph import Graph, read_graphs
from nightferry.steps.model.onnx_session import open_model

if TYPE_CHECKING:
    import onnxruntime

LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints", "cats_strings", "cats_int64s")
"""Attributes of the operators of ONNX-ML that hold a classifier's labels, in the order of its scores."""


@dataclass(frozen=True)
class Signature:
    """What model.json declares of a model."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    labels: tuple[str, ...]
    """None where the file does not name them."""


def signature_of(path: Path, what: str) -> Signature:
    """Read an ONNX file's signature.

    Args:
        path: the ONNX file, its external data beside it.
        what: the file as its author calls it, for the errors.

    Raises:
        Permanent: (model_not_onnx; model_signature_wrong: an input or output that the service does not serve)
    """
    session = open_model(path, what)
    inputs = tuple(_tensor(argument, "input", what) for argument in session.get_inputs())
    outputs = tuple(_tensor(argument, "output", what) for argument in session.get_outputs())
    return Signature(inputs, outputs, _labels(path, outputs))


def _tensor(argument: onnxruntime.NodeArg, kind: str, what: str) -> Tensor:
    found = element(argument.type)
    if found not in ONNX_TYPES:
        change = (
            "export it with options={'zipmap': False}, as plain tensors"
            if "map" in found
            else f"cast it to one of {', '.join(ONNX_TYPES)} in the model"
        )
        raise Permanent(
            Reason.MODEL_SIGNATURE_WRONG,
            f"{what}: {kind} {argument.name} is {argument.type}, which the service does not serve; {change}.",
        )
    return Tensor(argument.name, ONNX_TYPES[found], _shape(argument.shape))


def _shape(sizes: Sequence[int | str | None]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else -1 for size in sizes)


def _labels(path: Path, outputs: Sequence[Tensor]) -> tuple[str, ...]:
    """The labels that the graph names, if a row of scores has one for each."""
    fitting = (
        labels
        for graph in read_graphs(path)
        for labels in _named(graph)
        if any(tensor.datatype.startswith("FP") and scores_fit(tensor.shape, len(labels)) for tensor in outputs)
    )
    return next(fitting, ())


def _named(graph: Graph) -> Iterator[tuple[str, ...]]:
    for node in reversed(graph.nodes):
        for name in LABELS:
            labels = node.texts.get(name) or tuple(str(number) for number in node.numbers.get(name, ()))
            if len(labels) > 1:
                yield labels
