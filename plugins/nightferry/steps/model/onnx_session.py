"""Open an ONNX file for its signature alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

if TYPE_CHECKING:
    import onnxruntime


def open_model(path: Path, what: str) -> onnxruntime.InferenceSession:
    """The model, not optimised: that would take a large one's memory again.

    Args:
        path: the ONNX file, its external data beside it.
        what: the file as its author calls it, for the error.

    Raises:
        Permanent: (model_not_onnx; setting_missing: ONNX Runtime is not installed)
    """
    # ONNX Runtime's official builds report usage to their vendor unless this is set before they are loaded.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as fault:
        raise Permanent(
            Reason.SETTING_MISSING,
            f"{what} cannot be opened, as ONNX Runtime is not installed: pip install 'nightferry[onnx]'.",
        ) from fault
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as fault:  # ONNX Runtime's errors share no base class
        first_line = (str(fault) or type(fault).__name__).splitlines()[0][:300]
        raise Permanent(Reason.MODEL_NOT_ONNX, f"{what} is not an ONNX model that opens: {first_line}") from fault
