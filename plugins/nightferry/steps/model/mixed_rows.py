"""Which operations of a graph let one row of a request have a part in another row's answer?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nightferry.steps.model.onnx_graph import Graph, Node

COUNTS = ("Shape", "Size")
"""Say how large a tensor is, not what is in it."""
AXIS = {"ArgMax": 0, "ArgMin": 0, "Softmax": -1, "LogSoftmax": -1, "Hardmax": -1, "LpNormalization": -1}
AXIS |= {"LayerNormalization": -1, "RMSNormalization": -1, "TopK": -1}
"""Operators over one axis, with the one that is meant if none is given."""
ALL_IMAGES = (0, 2, 3)
"""What MeanVarianceNormalization takes the mean of if nothing is said."""


def mixing(graphs: Iterable[Graph]) -> Iterator[str]:
    """Yield what each such operation does, in a few words: a scale that is taken from all rows, a sum over them.

    An operation on the first axis of something that is no longer a row for each is named too: it cannot be told apart.
    """
    for graph in graphs:
        yield from _mixing(graph, set(), {})


def _mixing(graph: Graph, data: set[str], outside: dict[str, tuple[int, ...]]) -> Iterator[str]:
    """Follow what comes from the inputs (`data`) through the graph."""
    data = data | set(graph.inputs)
    constants = outside | dict(graph.constants)
    for node in graph.nodes:
        if node.operator == "Constant":
            constants[node.outputs[0]] = next(iter(node.numbers.values()), ())
        if not node.graphs and not data.intersection(node.inputs):
            continue
        for inner in node.graphs:
            yield from _mixing(inner, data, constants)
        if node.operator in COUNTS:
            continue
        data.update(node.outputs)
        why = _why(node, data, constants)
        if why:
            yield why


def _why(node: Node, data: set[str], constants: dict[str, tuple[int, ...]]) -> str:
    name = node.operator
    if name.startswith("DynamicQuantize"):
        return f"{name} takes its scale from all rows together"
    if name == "QuantizeLinear" and node.inputs[1] in data:
        return f"{name} has a scale that is computed from the rows"
    if name == "BatchNormalization" and node.numbers.get("training_mode") == (1,):
        return f"{name} is in training mode, where it takes the mean of all rows"
    if 0 in _axes(node, constants):
        return f"{name} goes over the first axis, which is the rows"
    return ""


def _axes(node: Node, constants: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The axes that a node takes together; (0,) stands for all of them. None for other operators."""
    name, numbers = node.operator, node.numbers
    if name.startswith("Reduce"):
        given = numbers.get("axes") or (constants.get(node.inputs[1], (0,)) if node.inputs[1:2] > ("",) else ())
        return given or (() if numbers.get("noop_with_empty_axes") == (1,) else (0,))
    if name == "MeanVarianceNormalization":
        return numbers.get("axes") or ALL_IMAGES
    if name == "CumSum":
        return constants.get(node.inputs[1], (0,))
    return numbers.get("axis", (AXIS[name],)) if name in AXIS else ()
