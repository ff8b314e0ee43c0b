"""The model itself: an ONNX Runtime session, opened once, checked against model.json, warmed up by a real inference."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from serving_app.errors import ModelRefusal, StartError
from serving_app.model.model_dir import DATATYPES, ModelDir, Tensor, scores_fit
from serving_app.model_format import ONNX_TYPES, element, shapes_agree

Arrays = Mapping[str, NDArray[np.generic]]

SILENT = 4
"""Nothing but what ends the process. Whatever else ONNX Runtime says is in the exception too; its own lines on standard
error are coloured and no JSON."""
SIZES = re.compile(r"broadcast|dimension|shape", re.IGNORECASE)

ort.set_default_logger_severity(SILENT)


class ModelCut(Exception):
    """An inference was ended because it took too long."""


class _Run:
    """What one thread has the model compute, for the thread that watches over the time."""

    def __init__(self) -> None:
        self.options = ort.RunOptions()
        self.options.log_severity_level = SILENT
        self.started = 0.0
        self.cut = False
        self.lock = threading.Lock()

    def begin(self) -> None:
        self.started = time.monotonic()

    def end(self) -> bool:
        """Whether it was cut."""
        with self.lock:
            self.started = 0.0
            cut = self.cut
            if cut:
                self.cut = self.options.terminate = False
            return cut


class Predictor:
    """Runs the model; safe to call from several threads at once."""

    def __init__(self, model: ModelDir, *, threads: int = 1, alone: Callable[[], bool] = lambda: True) -> None:
        """Open the model.

        Args:
            model: the model directory.
            threads: threads inside one inference that is computed alone, if the model is slow enough to gain by it.
            alone: whether nothing else is to be computed now.

        Raises:
            StartError: the file is not a model that ONNX Runtime opens, or its signature is not as declared.
        """
        session = _session(model, 1)
        _check_signature(model, "inputs", model.inputs, session.get_inputs())
        _check_signature(model, "outputs", model.outputs, session.get_outputs())
        self._compute = self._compute_alone = _run_of(session)
        self._threads = threads
        self._alone = alone
        self._outputs = [output.name for output in model.outputs]
        self._model = model
        self._runs: dict[int, _Run] = {}

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Return every declared output for these inputs, whose names, types and shapes the caller has checked.

        Raises:
            ModelCut: it took too long, and `cut` ended it.
            ModelRefusal: the model says that the inputs are wrong.
        """
        run = self._runs.get(threading.get_ident())
        if run is None:
            run = self._runs[threading.get_ident()] = _Run()
        run.begin()
        compute = self._compute
        if compute is not self._compute_alone and self._alone():
            compute = self._compute_alone
        try:
            values = compute(self._outputs, inputs, run.options)
        except Exception as error:
            if run.end():
                raise ModelCut from error
            if self._callers_mistake(error):
                raise ModelRefusal(_reason(error)) from error
            raise
        run.end()
        return dict(zip(self._outputs, values, strict=True))

    def _callers_mistake(self, error: Exception) -> bool:
        """ONNX Runtime calls an index that is out of range an invalid argument, and sizes that do not go together a
        failure, which is the caller's only where the signature leaves sizes to the caller."""
        kind = type(error).__name__
        return kind == "InvalidArgument" or (
            kind == "Fail"
            and any(-1 in tensor.shape[1:] for tensor in self._model.inputs)
            and SIZES.search(str(error)) is not None
        )

    def cut(self, seconds: float) -> int:
        """End the inferences that have taken longer than this; returns how many were told so now."""
        told = 0
        for run in list(self._runs.values()):
            with run.lock:
                if run.started and not run.cut and time.monotonic() - run.started > seconds:
                    run.cut = run.options.terminate = True
                    told += 1
        return told

    def stuck(self, seconds: float) -> bool:
        """Whether an inference goes on although it was told to end, longer than this since it began."""
        now = time.monotonic()
        return any(run.started and now - run.started > seconds for run in list(self._runs.values()))

    def warm_up(self, inputs: Arrays, what: str) -> None:
        """Run one inference of these inputs.

        Args:
            inputs: of one row.
            what: they are, in words.

        Raises:
            StartError: the model fails on it, or gives another number of scores than there are labels.
        """
        try:
            outputs = self.run(inputs)
        except Exception as error:
            raise StartError(f"the model fails on {what}: {_first_line(error)}") from error
        labels, name = self._model.labels, self._model.scored.name
        scores = outputs[name]
        if labels and not scores_fit(scores.shape, len(labels)):
            raise StartError(
                f"{self._model.path / 'model.json'}: labels are {len(labels)}, "
                f"output {name} has shape {list(scores.shape)}"
            )

    def add_threads(self, inputs: Arrays, what: str) -> None:
        """Let a request that is alone have all threads, from a second session.

        Under load a thread for each request computes most: on two cores, two requests with one thread each were
        answered at 1.2 times the rate of two with two each. A session has one number of threads for all that it
        computes, so each way has one; the weights are then in memory twice.

        Raises:
            StartError: there is no memory for it.
        """
        if self._threads > 1 and self._compute_alone is self._compute:
            self._compute_alone = _run_of(_session(self._model, self._threads))
            self.warm_up(inputs, what)


def _session(model: ModelDir, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = SILENT
    try:
        return ort.InferenceSession(str(model.model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise StartError(f"{model.model} does not open: {_first_line(error)}") from error


def _run_of(session: ort.InferenceSession) -> Callable[..., list[NDArray[np.generic]]]:
    """The Python layer above a session checks again what the caller has checked: a sixth of a small model's time."""
    run: Callable[..., list[NDArray[np.generic]]] = getattr(session, "_sess", session).run
    return run


def zeros(tensor: Tensor) -> NDArray[np.generic]:
    """Return an input of zeros, or of empty texts; a size that is left open is 1."""
    shape = [1 if size == -1 else size for size in tensor.shape]
    if tensor.datatype == "BYTES":
        return np.full(shape, "", dtype=object)
    return np.zeros(shape, dtype=DATATYPES[tensor.datatype])


def _check_signature(model: ModelDir, member: str, declared: tuple[Tensor, ...], actual: list[ort.NodeArg]) -> None:
    found = {arg.name: arg for arg in actual}
    if member == "inputs" and set(found) != {tensor.name for tensor in declared}:
        raise StartError(
            f"{model.path / 'model.json'}: inputs are {', '.join(t.name for t in declared)}, "
            f"the model's are {', '.join(found)}"
        )
    for tensor in declared:
        arg = found.get(tensor.name)
        if arg is None:
            raise StartError(
                f"{model.path / 'model.json'}: {member}: the model has no {tensor.name}; it has {', '.join(found)}"
            )
        datatype = ONNX_TYPES.get(element(arg.type), arg.type)
        if datatype != tensor.datatype:
            raise StartError(
                f"{model.path / 'model.json'}: {member}: {tensor.name} is declared {tensor.datatype}, "
                f"the model's is {datatype}"
            )
        if arg.shape and not shapes_agree(tensor.shape, arg.shape):
            raise StartError(
                f"{model.path / 'model.json'}: {member}: {tensor.name} is declared {list(tensor.shape)}, "
                f"the model's is {arg.shape}"
            )


def _reason(error: Exception) -> str:
    """What an operator says, without its name and the place in ONNX Runtime's source."""
    line = str(error).partition("Status Message: ")[2].splitlines()[:1] or [type(error).__name__]
    return re.sub(r"^(?:.* was false\. |\S+\.(?:h|cc):\d+ (?:\S+ )?)", "", line[0])[:200]


def _first_line(error: Exception) -> str:
    """What ONNX Runtime says, without its codes and the path that the sentence around it names."""
    line = (str(error) or type(error).__name__).splitlines()[0]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:Load model from .*? failed: ?)?", "", line)[:300]
