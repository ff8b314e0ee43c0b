"""LitServe, two workers, as its documentation says."""

from __future__ import annotations

import sys

import litserve as ls

from benchmarks.serving_contenders.model import NAME, Model


class Api(ls.LitAPI):
    """The model."""

    def setup(self, device: str) -> None:
        """Open it."""
        self.model = Model()

    def decode_request(self, request: dict) -> dict:
        """The document is what the model takes."""
        return request

    def predict(self, document: dict) -> dict:
        """Compute."""
        answer = self.model.answer(document)
        answer["outputs"][0]["data"] = answer["outputs"][0]["data"].tolist()
        return answer

    def encode_response(self, answer: dict) -> dict:
        """As it is."""
        return answer


if __name__ == "__main__":
    server = ls.LitServer(Api(api_path=f"/v2/models/{NAME}/infer"), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="error", generate_client_file=False)
