"""The Open Inference Protocol v2, with tensors in JSON or in binary."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from serving_app import __version__
from serving_app.errors import RequestError
from serving_app.inputs import binary
from serving_app.model.model_dir import ModelDir, Tensor
from serving_app.routes.responses import document, encoded, infer_body, may_be_kept
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.service import Service, unknown_model


def routes(service: Service, lifecycle: Lifecycle) -> Blueprint:
    """Return the blueprint."""
    blueprint = Blueprint("v2", __name__, url_prefix="/v2")
    model = service.model

    @blueprint.get("")
    def server() -> Response:
        return document({"name": "serving_app", "version": __version__, "extensions": ["binary_tensor_data"]})

    @blueprint.get("/health/live")
    def live() -> Response:
        return document({"live": True})

    @blueprint.get("/health/ready")
    def ready() -> Response:
        return document({"ready": lifecycle.ready}, 200 if lifecycle.ready else 503)

    @blueprint.get("/models/<name>")
    @blueprint.get("/models/<name>/versions/<version>")
    def metadata(name: str, version: str | None = None) -> Response:
        _check(model, name, version)
        return document(
            {
                "name": model.service,
                "versions": [model.version],
                "platform": "onnx_onnxv1",
                "inputs": [_tensor(tensor) for tensor in model.inputs],
                "outputs": [_tensor(tensor) for tensor in model.outputs],
            }
        )

    @blueprint.get("/models/<name>/ready")
    @blueprint.get("/models/<name>/versions/<version>/ready")
    def model_ready(name: str, version: str | None = None) -> Response:
        _check(model, name, version)
        return document({"name": model.service, "ready": lifecycle.ready}, 200 if lifecycle.ready else 503)

    @blueprint.post("/models/<name>/infer")
    @blueprint.post("/models/<name>/versions/<version>/infer")
    def infer(name: str, version: str | None = None) -> Response:
        _check(model, name, version)
        size = binary.json_size(request.headers.get(binary.HEADER))
        if size == 0 and request.mimetype == "application/json":
            raise RequestError(400, binary.HEADER, "is 0, but Content-Type says that the body is JSON")
        given = infer_body(in_binary=size is not None)
        body, answer_size = service.infer(given, size, record=may_be_kept())
        answer = encoded(body)
        if answer_size is not None:
            answer.content_type = "application/octet-stream"
            answer.headers[binary.HEADER] = str(answer_size)
        return answer

    return blueprint


def _check(model: ModelDir, name: str, version: str | None) -> None:
    if name != model.service:
        raise unknown_model(name, model)
    if version not in (None, model.version):
        raise RequestError(404, "version", f"no version {str(version)[:80]!r} here; this service has {model.version}")


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
