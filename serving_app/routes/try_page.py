"""`/try`, a page for people, and `/openapi.json`, the same for programs. Both say what model.json says."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

import orjson
from flask import Blueprint, Response, request

from serving_app.model.model_dir import ModelDir
from serving_app.passport import Passport
from serving_app.routes import openapi, page

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from elsewhere, nothing inline, in nobody's frame. `blob:` is the picture that the person chose."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

OF_IMAGE = ("width", "height", "mode", "invert", "fit", "resize", "padding")
"""Members of model.json's `image` that the page has to know."""


def routes(model: ModelDir, passport: Passport, *, max_batch: int, max_body_bytes: int) -> Blueprint:
    """Return the blueprint."""
    blueprint = Blueprint("try", __name__)
    folder = resources.files("serving_app") / "web"
    for file in page.FILES:
        _serve(blueprint, file.path, file.operation, (folder / file.name).read_bytes(), file.kind)
    facts = _facts(model, passport, max_body_bytes)
    _serve(blueprint, "/try.json", "try_json", orjson.dumps(facts), "application/json")
    document = openapi.document(model, max_batch=max_batch, max_body_bytes=max_body_bytes)
    _serve(blueprint, "/openapi.json", "openapi", orjson.dumps(document), "application/json")
    return blueprint


def _serve(blueprint: Blueprint, path: str, name: str, body: bytes, kind: str) -> None:
    tag = hashlib.sha256(body).hexdigest()[:20]

    def answer() -> Response:
        response = Response(body, content_type=kind, headers=HEADERS)
        response.set_etag(tag)
        response.make_conditional(request)
        return response

    blueprint.get(path, endpoint=name)(answer)


def _facts(model: ModelDir, passport: Passport, max_body_bytes: int) -> dict[str, Any]:
    image = model.image
    return {
        "service": model.service,
        "version": model.version,
        "environment": passport.environment,
        "release": passport.release,
        "labels": list(model.labels),
        "scores": model.scores,
        "inputs": [{"name": t.name, "datatype": t.datatype, "shape": t.shape} for t in model.inputs],
        "outputs": [{"name": t.name, "datatype": t.datatype, "shape": t.shape} for t in model.outputs],
        "image": image and {name: getattr(image, name) for name in OF_IMAGE},
        "max_body_bytes": max_body_bytes,
    }
