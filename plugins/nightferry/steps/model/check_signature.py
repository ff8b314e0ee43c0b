"""Does the ONNX file open, and is its signature the declared one?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightferry.entities.model_version import ONNX_TYPES, ModelManifest, Tensor, element, scores_fit, shapes_agree
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.onnx_session import open_model

if TYPE_CHECKING:
    import onnxruntime


def check_signature(folder: Path, manifest: ModelManifest) -> dict[str, Any]:
    """Open the model in ONNX Runtime and hold inputs, outputs and labels against the manifest.

    A size that either side leaves open agrees with any.

    Raises:
        Permanent: (model_not_onnx, model_signature_wrong, model_labels_wrong)
    """
    session = open_model(folder / manifest.model, f"{manifest.model} of model {manifest.version}")
    inputs, outputs = session.get_inputs(), session.get_outputs()
    extra = {arg.name for arg in inputs} - {tensor.name for tensor in manifest.inputs}
    if extra:
        raise _signature_wrong(manifest, f"the model also wants the input {', '.join(sorted(extra))}")
    _compare(manifest, "input", manifest.inputs, inputs)
    _compare(manifest, "output", manifest.outputs, outputs)
    _check_labels(manifest, outputs)
    return {
        "inputs": [shown(tensor) for tensor in manifest.inputs],
        "outputs": [shown(tensor) for tensor in manifest.outputs],
    }


def shown(tensor: Tensor) -> dict[str, Any]:
    """A tensor as model.json and the record have it."""
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _compare(
    manifest: ModelManifest, what: str, declared: Sequence[Tensor], actual: Sequence[onnxruntime.NodeArg]
) -> None:
    found = {arg.name: arg for arg in actual}
    for tensor in declared:
        arg = found.get(tensor.name)
        if arg is None:
            raise _signature_wrong(manifest, f"the model has no {what} {tensor.name}; it has {', '.join(found)}")
        kind = element(arg.type)
        _check_servable(manifest, f"{what} {tensor.name}", kind)
        datatype = ONNX_TYPES.get(kind, kind)
        if datatype != tensor.datatype:
            raise _signature_wrong(
                manifest, f"{what} {tensor.name} is declared {tensor.datatype}, the model's is {datatype}"
            )
        if arg.shape and not shapes_agree(tensor.shape, arg.shape):
            raise _signature_wrong(
                manifest, f"{what} {tensor.name} is declared {list(tensor.shape)}, the model's is {_shape(arg.shape)}"
            )


def _check_servable(manifest: ModelManifest, what: str, kind: str) -> None:
    if kind in ONNX_TYPES:
        return
    change = how_to_serve(kind)
    raise _signature_wrong(manifest, f"{what} is {kind}, which the service does not serve; {change}")


def how_to_serve(kind: str) -> str:
    """What to do about an input or output of a type that the service does not serve."""
    if "(" in kind:
        return "export plain tensors, without a dictionary for each row (skl2onnx: options={'zipmap': False})"
    return f"cast it to one of {', '.join(ONNX_TYPES)} in the model"


def _shape(actual: Sequence[int | str | None]) -> list[int]:
    return [size if isinstance(size, int) else -1 for size in actual]


def _check_labels(manifest: ModelManifest, outputs: Sequence[onnxruntime.NodeArg]) -> None:
    scores = manifest.scored
    arg = next(arg for arg in outputs if arg.name == scores.name)
    # Where the declaration leaves a size open, the model may still know it.
    sizes = _shape(arg.shape) if arg.shape else list(scores.shape)
    if manifest.labels and not scores_fit(sizes, len(manifest.labels)):
        raise Permanent(
            Reason.MODEL_LABELS_WRONG,
            f"Model {manifest.version}: labels are {len(manifest.labels)}, but its output {scores.name} has "
            f"{math.prod(sizes[1:])} scores; list one label for each in model.json.",
        )


def _signature_wrong(manifest: ModelManifest, fact: str) -> Permanent:
    return Permanent(
        Reason.MODEL_SIGNATURE_WRONG,
        f"Model {manifest.version} is not as its model.json declares: {fact}.",
    )
