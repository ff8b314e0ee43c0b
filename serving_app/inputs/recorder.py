"""What of an answered request is kept for the comparison with a next release: its inputs and its labels, nothing else.

Neither addresses nor headers, ids or names: what is kept can be asked again as an infer request, and no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving_app.errors import StartError
from serving_app.inputs.pictures import as_text
from serving_app.model.model_dir import ModelDir, Tensor
from serving_app.runtime.journal import log
from serving_app.runtime.kept import Shelf

Arrays = Mapping[str, NDArray[Any]]
Pictures = Mapping[str, Sequence[object]]
HEADER = "X-Serving-Record"
"""A request that says `0` here is not kept: the probes of a release ask the same things again and again."""


class Recorder:
    """Keeps the requests of one worker; safe to call from several threads."""

    def __init__(
        self, model: ModelDir, shelf: Shelf, omit: Sequence[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin.

        Args:
            model: whose requests.
            shelf: where they are kept.
            omit: inputs that are never kept.
            clock: seconds that all workers count alike.

        Raises:
            StartError: an input that is to be left out is none of the model's: what was meant would be kept.
        """
        known = [tensor.name for tensor in model.inputs]
        for name in omit:
            if name not in known:
                raise StartError(
                    f"SERVING_RECORD_OMIT names {name[:80]!r}, which is no input of {model.service} {model.version}; "
                    f"it has {', '.join(known)}"
                )
        self._model = model
        self._shelf = shelf
        self._omitted = [name for name in known if name in omit]
        self._kept = [tensor for tensor in model.inputs if tensor.name not in omit]
        self._clock = clock
        self._even = 0.0 if model.scores == "logits" else 0.5

    def keep(self, arrays: Arrays, pictures: Pictures, outputs: Arrays) -> None:
        """Keep an answered request; never raises, since the answer is the caller's whatever becomes of this.

        Args:
            arrays: the inputs as the model got them.
            pictures: the inputs that came as pictures, as they came.
            outputs: what the model gave.
        """
        try:
            if self._size(arrays, pictures) > self._shelf.largest:
                self._shelf.pass_over()
                return
            document = {
                "inputs": [_entry(tensor, arrays[tensor.name], pictures.get(tensor.name)) for tensor in self._kept],
                "omitted": self._omitted,
                "labels": self._labels(outputs),
            }
            self._shelf.keep(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), self._clock())
        except Exception:
            log.exception("a request could not be kept")

    def _size(self, arrays: Arrays, pictures: Pictures) -> int:
        """About how many bytes there are, before any work is done on them."""
        return sum(_bytes(arrays[tensor.name], pictures.get(tensor.name)) for tensor in self._kept)

    def _labels(self, outputs: Arrays) -> list[str] | None:
        """The best label of each row, as `best_labels` has it first, in a fraction of its time."""
        labels = self._model.labels
        if not labels:
            return None
        scores = outputs[self._model.scored.name]
        rows = scores.reshape(len(scores), -1)
        if rows.shape[1] == 1 and len(labels) == 2:  # how sure the model is of the second label
            return [labels[int(row > self._even)] for row in rows.reshape(-1).tolist()]
        return [labels[place] for place in rows.argmax(axis=1).tolist()]


def _bytes(array: NDArray[Any], pictures: Sequence[Any] | None) -> int:
    if pictures is None and array.dtype.kind != "O":
        return array.nbytes
    texts: Sequence[Any] = array.reshape(-1).tolist() if pictures is None else pictures
    return sum(map(len, texts))


def _entry(tensor: Tensor, array: NDArray[Any], pictures: Sequence[object] | None) -> dict[str, Any]:
    """An input as an infer request has it."""
    if pictures is not None:
        texts = [as_text(picture) for picture in pictures]
        return {"name": tensor.name, "datatype": "BYTES", "shape": [len(texts)], "data": texts}
    flat = np.ascontiguousarray(array).reshape(-1)
    # orjson writes null for NaN, which is how a missing number is sent.
    data: Any = flat.tolist() if tensor.datatype == "BYTES" else flat
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(array.shape), "data": data}
