"""What an ONNX file says of itself: inputs, outputs, and the labels of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightferry.entities.model_version import ONNX_TYPES, Tensor, element, scores_fit
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.check_signature import how_to_serve
from nightferry.steps.model.onnx_graph import Graph, Node, read_graphs
from nightferry.steps.model.onnx_session import open_model

if TYPE_CHECKING:
    import onnxruntime

LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
"""Attributes of the operators of ONNX-ML that hold a classifier's labels, in the order of its scores."""
STEPS = 8
"""Operations between a classifier and the scores that it is asked for: a normaliser, a softmax, a cast."""


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
    return Signature(inputs, outputs, _labels(read_graphs(path)[0], outputs))


def _tensor(argument: onnxruntime.NodeArg, kind: str, what: str) -> Tensor:
    found = element(argument.type)
    if found not in ONNX_TYPES:
        raise Permanent(
            Reason.MODEL_SIGNATURE_WRONG,
            f"{what}: {kind} {argument.name} is {argument.type}, which the service does not serve; "
            f"{how_to_serve(found)}.",
        )
    return Tensor(argument.name, ONNX_TYPES[found], _shape(argument.shape))


def _shape(sizes: Sequence[int | str | None]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else -1 for size in sizes)


def _labels(graph: Graph, outputs: Sequence[Tensor]) -> tuple[str, ...]:
    """The labels of the classifier whose scores are an output, straight or only made into probabilities. What another
    operation makes of a classifier's scores may be in any order, and a classifier inside is not what is asked."""
    made_by = {output: node for node in graph.nodes for output in node.outputs}
    for tensor in outputs:
        name = tensor.name
        for _ in range(STEPS if tensor.datatype.startswith("FP") else 0):
            node = made_by.get(name)
            if node is None:
                break
            labels = _named(node)
            if labels:
                if name in node.outputs[1:] and scores_fit(tensor.shape, len(labels)):
                    return labels
                break
            computed = [each for each in node.inputs if each and each not in graph.constants]
            if len(computed) != 1:
                break
            name = computed[0]
    return ()


def _named(node: Node) -> tuple[str, ...]:
    for name in LABELS:
        labels = node.texts.get(name) or tuple(str(number) for number in node.numbers.get(name, ()))
        if len(labels) > 1:
            return labels
    return ()
