"""MLServer with a runtime of its own for ONNX, as its documentation says. In one process: its pool of workers does not
start with the uvloop that it installs, and where it does, it costs a small model more than it brings."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.serving_contenders.model import Model


class Onnx(MLModel):
    """The model."""

    async def load(self) -> bool:
        """Open it."""
        self._model = Model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Compute."""
        answer = self._model.answer({"inputs": [payload.inputs[0].model_dump()]})["outputs"][0]
        scores = answer["data"].reshape(answer["shape"])
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output(self._model.output, scores)])
