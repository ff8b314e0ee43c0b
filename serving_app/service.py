"""What the service does with a request's body, whatever carried it: `/score` and `/v2/…/infer` end in one `_run`.

Bytes in, bytes out, nothing of Flask: a server's short cut may call it as well as the routes do.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from serving_app.errors import RequestError, bad_request
from serving_app.inputs import tensors
from serving_app.inputs.infer import InferProtocol
from serving_app.inputs.pictures import ImagePreprocessor
from serving_app.inputs.recorder import Recorder
from serving_app.model import batching
from serving_app.model.labels import best_labels
from serving_app.model.model_dir import ModelDir
from serving_app.model.predictor import Predictor, zeros

LONG = 0.1
"""Seconds of an inference that is not repeated just to see how long it takes."""
THREADED = 0.001
"""Seconds of an inference; one that takes less gains nothing from a second thread."""
Observer = Callable[[int, float], None]
"""Called after each inference with its rows and seconds."""


Outputs = Mapping[str, NDArray[Any]]


class Call(NamedTuple):
    """A request that has been read: what the model gets, and what makes an answer of what it gives."""

    arrays: dict[str, NDArray[Any]]
    write: Callable[[Outputs], tuple[bytes, int | None]]
    """Returns the answer's body, and how much of it is JSON if tensors follow that."""


class Service:
    """One model behind both forms of request."""

    def __init__(
        self,
        model: ModelDir,
        predictor: Predictor,
        *,
        max_batch: int,
        max_pixels: int,
        observe: Observer = lambda rows, seconds: None,
    ) -> None:
        self.model = model
        self._predictor = predictor
        self._max_batch = max_batch
        self.observe = observe
        self.recorder: Recorder | None = None
        """Keeps what is answered, if that is wanted."""
        self._images = ImagePreprocessor(model.image, max_pixels=max_pixels) if model.image else None
        self._inputs = {tensor.name: tensor for tensor in model.inputs}
        self._most = tensors.bounds(model, max_batch)
        self._protocol = InferProtocol(model, self._images, max_batch=max_batch)
        self.batches = False
        """Whether requests that arrive together are better computed together; known after `warm_up`."""
        self.seconds = 0.0
        """Time that one inference of one row takes once it is warm; known after `warm_up`."""

    def warm_up(self) -> None:
        """Compute one answer, so that the first user does not pay for what happens once.

        Raises:
            StartError: the model fails on it.
        """
        inputs, what = self._example()
        for _ in range(3):  # the first one pays for what happens once
            start = time.perf_counter()
            self._predictor.warm_up(inputs, what)
            self.seconds = time.perf_counter() - start
            if self.seconds > LONG:
                break
        if self.seconds > THREADED:
            self._predictor.add_threads(inputs, what)
        self.batches = batching.worthwhile(self.model, self._predictor.run)

    def _example(self) -> tuple[dict[str, NDArray[Any]], str]:
        """Return one row that the model is likely to take, and what it is: not every model takes zeros."""
        for i, example in enumerate(self.model.golden):
            with contextlib.suppress(RequestError):
                return self._golden(example), f"golden example {i}"
        if self._images:
            return {self.model.inputs[0].name: self._images.warm_up()}, "a white picture"
        return {tensor.name: zeros(tensor) for tensor in self.model.inputs}, "an input of zeros"

    def _golden(self, example: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        if self._images and "image" in example:
            picture = (self.model.path / str(example["image"])).read_bytes()
            return {self.model.inputs[0].name: self._images.batch([picture], "image")}
        arrays = self._protocol.read(orjson.dumps({"inputs": example.get("inputs")}), None).arrays
        return {name: array[:1] if self._inputs[name].shape[:1] == (-1,) else array for name, array in arrays.items()}

    def score(self, body: bytes, *, record: bool = True) -> bytes:
        """Answer the tutorial's request: the best labels of each picture (or row of numbers).

        Args:
            body: the request's.
            record: whether it may be kept, where requests are.

        Raises:
            RequestError: the body is not as the contract says.
        """
        call = self.read_score(body, record=record)
        return call.write(self._run(call.arrays))[0]

    def read_score(self, body: bytes, *, quick: bool = False, record: bool = True) -> Call:
        """Take the tutorial's request as far as the model.

        Args:
            body: the request's.
            quick: whether nothing is to be read that takes long, as large pictures do.
            record: whether it may be kept, where requests are.

        Raises:
            NotQuick: it would take long.
            RequestError: the body is not as the contract says.
        """
        start = time.perf_counter()
        document = tensors.json_object(body, self._most)
        if "input" not in document:
            raise bad_request("input", "missing; give a JSON text of a list of base64 pictures")
        items = _list(document["input"])
        if not self.model.labels or len(self._inputs) != 1:
            raise bad_request("input", f"this model has no labels; use /v2/models/{self.model.service}/infer")
        tensor = self.model.inputs[0]
        self._check_count(len(items), "input")
        if self._images:
            rows: NDArray[Any] = self._images.batch(items, "input", quick=quick)
        else:
            shape = [len(items), *tensor.shape[1:]]
            entry = {"datatype": tensor.datatype, "shape": shape, "data": items}
            rows = tensors.parse(entry, tensor, "input", max_batch=self._max_batch)
        call = Call({tensor.name: rows}, lambda outputs: (self._write_score(outputs, start), None))
        return self._recorded(call, {tensor.name: items} if self._images else {}) if record else call

    def _write_score(self, outputs: Outputs, start: float) -> bytes:
        best = best_labels(outputs[self.model.scored.name], self.model)
        return orjson.dumps({"result": [best, f"Computed in {round((time.perf_counter() - start) * 1000, 2)} ms"]})

    def infer(self, body: bytes, json_size: int | None = None, *, record: bool = True) -> tuple[bytes, int | None]:
        """Answer an Open Inference Protocol request. A model for pictures also takes its input as BYTES.

        Args:
            body: JSON, or JSON and then tensors in binary.
            json_size: how much of the body is JSON, if tensors may follow it.
            record: whether it may be kept, where requests are.

        Returns:
            The answer's body, and how much of it is JSON if tensors follow that.

        Raises:
            RequestError: the body is not as the protocol or the model's signature says.
        """
        call = self.read_infer(body, json_size, record=record)
        return call.write(self._run(call.arrays))

    def read_infer(
        self, body: bytes, json_size: int | None = None, *, quick: bool = False, record: bool = True
    ) -> Call:
        """Take an infer request as far as the model.

        Raises:
            NotQuick: `quick` is asked for, and it would take long.
            RequestError: the body is not as the protocol or the model's signature says.
        """
        request = self._protocol.read(body, json_size, quick=quick)
        call = Call(request.arrays, lambda outputs: self._protocol.write(request, outputs))
        return self._recorded(call, request.pictures) if record else call

    def _recorded(self, call: Call, pictures: Mapping[str, Sequence[object]]) -> Call:
        """The same call, which is kept once it is answered, where requests are kept."""
        recorder = self.recorder
        if recorder is None:
            return call

        def write(outputs: Outputs) -> tuple[bytes, int | None]:
            answer = call.write(outputs)
            recorder.keep(call.arrays, pictures, outputs)
            return answer

        return Call(call.arrays, write)

    def run_all(self, requests: list[dict[str, NDArray[Any]]]) -> list[Outputs]:
        """Compute several requests in one inference. Whatever the model raises is about all of them."""
        if len(requests) == 1:
            return [self._run(requests[0])]
        return batching.run_together(requests, self._run)

    def _check_count(self, count: int, field: str) -> None:
        if not 1 <= count <= self._max_batch:
            raise bad_request(field, f"has {count} members; 1 to {self._max_batch} are taken")

    def _run(self, arrays: Outputs) -> Outputs:
        """The only way to the model."""
        first = next(iter(arrays.values()))
        rows = first.shape[0] if first.ndim else 1
        start = time.perf_counter()
        if rows > 1 and self._images and self.model.inputs[0].shape[0] == 1:
            # exported for one picture at a time
            (name,) = arrays
            parts = [self._predictor.run({name: first[i : i + 1]}) for i in range(rows)]
            outputs = {output: np.concatenate([part[output] for part in parts]) for output in parts[0]}
        else:
            outputs = self._predictor.run(arrays)
        self.observe(rows, time.perf_counter() - start)
        return outputs


def _list(value: Any) -> list[Any]:
    """The contract's inner list is a JSON text of its own; a plain list is taken too."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise bad_request("input", f"the text is not JSON: {error}") from error
    if not isinstance(value, list):
        raise bad_request("input", "give a JSON text of a list")
    return value


def unknown_model(name: str, model: ModelDir) -> RequestError:
    """Return the 404 for another model's name or version."""
    return RequestError(404, "model", f"no model {name[:80]!r} here; this service has {model.service}")
