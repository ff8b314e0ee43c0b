"""Does the ONNX file open, and is its signature the declared one?"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightferry.entities.model_version import ONNX_TYPES, ModelManifest, Tensor, element, scores_fit, shapes_agree
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

if TYPE_CHECKING:
    import onnxruntime


def check_signature(folder: Path, manifest: ModelManifest) -> dict[str, Any]:
    """Open the model in ONNX Runtime and hold inputs, outputs and labels against the manifest.

    A size that either side leaves open agrees with any.

    Raises:
        Permanent: (model_not_onnx, model_signature_wrong, model_labels_wrong)
    """
    session = _open(folder / manifest.model, manifest)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    extra = {arg.name for arg in inputs} - {tensor.name for tensor in manifest.inputs}
    if extra:
        raise _signature_wrong(manifest, f"the model also wants the input {', '.join(sorted(extra))}")
    _compare(manifest, "input", manifest.inputs, inputs)
    _compare(manifest, "output", manifest.outputs, outputs)
    _check_labels(manifest, outputs)
    return {
        "inputs": [_shown(tensor) for tensor in manifest.inputs],
        "outputs": [_shown(tensor) for tensor in manifest.outputs],
    }


def _shown(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _open(path: Path, manifest: ModelManifest) -> onnxruntime.InferenceSession:
    # ONNX Runtime's official builds report usage to their vendor unless this is set before they are loaded.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # Only the signature is wanted: optimising a large model would take its memory again.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as fault:  # ONNX Runtime's errors share no base class
        first_line = (str(fault) or type(fault).__name__).splitlines()[0][:300]
        raise Permanent(
            Reason.MODEL_NOT_ONNX,
            f"{manifest.model} of model {manifest.version} is not an ONNX model that opens: {first_line}",
        ) from fault


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
    if "(" in kind:
        change = "export plain tensors, without a dictionary for each row (skl2onnx: options={'zipmap': False})"
    else:
        change = f"cast it to one of {', '.join(ONNX_TYPES)} in the model"
    raise _signature_wrong(manifest, f"{what} is {kind}, which the service does not serve; {change}")


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
