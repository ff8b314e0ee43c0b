"""The work itself, the same for every contender: JSON to tensor to ONNX Runtime to JSON."""

from __future__ import annotations

import base64
import io
import os
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson
from PIL import Image

NAME = os.environ.get("MODEL_NAME", "digits")

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FACTOR = (1 / 255 / np.array(STD)).astype(np.float32)
OFFSET = (-np.array(MEAN) / np.array(STD)).astype(np.float32)


def open_model(threads: int = 1) -> ort.InferenceSession:
    """Return a session."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])


class Model:
    """Answers bodies."""

    def __init__(self, threads: int = 1) -> None:
        self.session = open_model(threads)
        self.input = self.session.get_inputs()[0].name
        self.output = os.environ["OUTPUT"]

    def run(self, array: Any) -> Any:
        """Return the scores."""
        return self.session.run([self.output], {self.input: array})[0]

    def infer(self, body: bytes) -> bytes:
        """Return the answer's JSON."""
        return orjson.dumps(self.answer(orjson.loads(body)), option=orjson.OPT_SERIALIZE_NUMPY)

    def answer(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the answer's document."""
        tensor = document["inputs"][0]
        if tensor["datatype"] == "BYTES":
            rows = np.stack([photo(text) for text in tensor["data"]])
        else:
            rows = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        scores = self.run(rows)
        return {
            "model_name": NAME,
            "outputs": [
                {"name": self.output, "datatype": "FP32", "shape": list(scores.shape), "data": scores.reshape(-1)}
            ],
        }


def photo(text: str) -> Any:
    """Return the tensor of a base64 picture: 224 x 224 RGB, normalised as for ImageNet."""
    image = Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.float32) * FACTOR + OFFSET
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
