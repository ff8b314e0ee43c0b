"""`/openapi.json`: what this service answers, written from its model's signature."""

from __future__ import annotations

from typing import Any

from serving_app import __version__
from serving_app.inputs.binary import HEADER
from serving_app.model.model_dir import ModelDir
from serving_app.routes import page
from serving_app.routes.openapi_schemas import schemas

Operation = dict[str, Any]
JSON = "application/json"
BINARY = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
SHORT = {
    400: "The request is not as described; `field` says where.",
    404: "Not a model or version of this service.",
    413: "The body is larger than this service takes.",
    415: "The body is declared as something else, or compressed.",
    500: "The model failed on this request; `request_id` is in the log.",
    503: "Too busy, or on its way out: ask again after Retry-After.",
}


def document(model: ModelDir, *, max_batch: int, max_body_bytes: int) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": model.service,
            "version": model.version,
            "description": f"One model, `{model.service}` {model.version}. `/score` is the short way to ask it, "
            f"`/v2` the Open Inference Protocol. A body has at most {max_body_bytes} bytes, "
            f"a request {max_batch} rows.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": "predict"}, {"name": "model"}, {"name": "service"}, {"name": "page"}],
        "paths": {**_predict(model), **_model(), **_service(), **_page()},
        "components": {"schemas": schemas(model, max_batch=max_batch)},
        "x-generator": f"serving_app {__version__}",
    }


def _predict(model: ModelDir) -> dict[str, Any]:
    score = {
        **_operation("score", "predict", "The best labels of each picture or row"),
        "requestBody": {"required": True, "content": {JSON: {"schema": _ref("ScoreRequest")}}},
        "responses": {"200": _json("ScoreAnswer", "The best labels"), **_problems(400, 413, 415, 500, 503)},
    }
    bodies = {JSON: {"schema": _ref("InferRequest")}, BINARY: {}}
    answers = {JSON: {"schema": _ref("InferAnswer")}, BINARY: {}}
    size = {"description": "Bytes of the JSON that tensors follow", "schema": {"type": "integer", "minimum": 0}}
    infer = {
        "requestBody": {
            "required": True,
            "description": f"JSON; or, as {BINARY} with {HEADER}, JSON and behind it the bytes of its tensors.",
            "content": bodies,
        },
        "responses": {
            "200": {
                "description": f"The outputs; as {BINARY} if any was asked for in binary",
                "headers": {HEADER: {**size, "required": False}, "X-Request-Id": _request_id()},
                "content": answers,
            },
            **_problems(400, 404, 413, 415, 500, 503),
        },
    }
    header = {"name": HEADER, "in": "header", "required": False, **size}
    paths: dict[str, Any] = {} if not model.labels or len(model.inputs) != 1 else {"/score": {"post": score}}
    for i, (path, parameters) in enumerate(_model_paths("/infer")):
        operation = _operation("infer_version" if i else "infer", "predict", "Outputs for inputs")
        paths[path] = {"post": {**operation, "parameters": [*parameters, header], **infer}}
    return paths


def _model() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for i, (path, parameters) in enumerate(_model_paths("")):
        paths[path] = {
            "get": {
                **_operation("model_version" if i else "model", "model", "Names, types and shapes of the model"),
                "parameters": parameters,
                "responses": {"200": _json("ModelMetadata", "The signature"), **_problems(404, 503)},
            }
        }
    for i, (path, parameters) in enumerate(_model_paths("/ready")):
        paths[path] = {
            "get": {
                **_operation("model_version_ready" if i else "model_ready", "model", "Whether the model answers"),
                "parameters": parameters,
                "responses": {
                    "200": _json("ModelReady", "It does"),
                    **_problems(404),
                    "503": _unready("ModelReady"),
                },
            }
        }
    return paths


def _service() -> dict[str, Any]:
    return {
        "/": _get("home", "service", "Healthy, and which model", {TEXT: {"schema": {"type": "string"}}}),
        "/livez": _get("livez", "service", "Whether the process answers", {TEXT: {"schema": {"type": "string"}}}),
        "/readyz": _get(
            "readyz",
            "service",
            "Whether it should get traffic",
            {TEXT: {"schema": {"type": "string"}}},
            unready={TEXT: {"schema": {"type": "string"}}},
        ),
        "/version": _get("version", "service", "The passport", {JSON: {"schema": _ref("Passport")}}),
        "/metrics": _get(
            "metrics", "service", "Numbers for Prometheus", {"text/plain": {"schema": {"type": "string"}}}
        ),
        "/openapi.json": _get("openapi", "service", "This document", {JSON: {"schema": {"type": "object"}}}),
        "/v2": _get("server", "service", "The server's name", {JSON: {"schema": _ref("ServerMetadata")}}),
        "/v2/health/live": _get("live", "service", "Whether the process answers", {JSON: {"schema": _ref("Live")}}),
        "/v2/health/ready": _get(
            "ready",
            "service",
            "Whether it should get traffic",
            {JSON: {"schema": _ref("Ready")}},
            unready={JSON: {"schema": _ref("Ready")}},
        ),
    }


def _page() -> dict[str, Any]:
    return {
        **{file.path: _get(file.operation, "page", file.summary, {file.kind: {}}) for file in page.FILES},
        "/try.json": _get("try_json", "page", "What it knows of the model", {JSON: {"schema": {"type": "object"}}}),
    }


def _model_paths(end: str) -> list[tuple[str, list[dict[str, Any]]]]:
    name, version = (
        {"name": name, "in": "path", "required": True, "schema": _ref(schema)}
        for name, schema in (("name", "ModelName"), ("version", "ModelVersion"))
    )
    return [
        (f"/v2/models/{{name}}{end}", [name]),
        (f"/v2/models/{{name}}/versions/{{version}}{end}", [name, version]),
    ]


def _operation(name: str, tag: str, summary: str) -> Operation:
    return {"operationId": name, "tags": [tag], "summary": summary}


def _get(name: str, tag: str, summary: str, content: Operation, unready: Operation | None = None) -> dict[str, Any]:
    responses = {"200": {"description": summary, "content": content, "headers": {"X-Request-Id": _request_id()}}}
    if unready:
        responses["503"] = {
            "description": "Starting, or draining",
            "content": {**unready, **_problem_content()},
        }
    else:
        responses.update(_problems(503))
    return {"get": {**_operation(name, tag, summary), "responses": responses}}


def _unready(schema: str) -> dict[str, Any]:
    content = {JSON: {"schema": _ref(schema)}, **_problem_content()}
    return {"description": "Starting, or draining", "content": content}


def _json(schema: str, description: str) -> dict[str, Any]:
    content = {JSON: {"schema": _ref(schema)}}
    return {"description": description, "content": content, "headers": {"X-Request-Id": _request_id()}}


def _problems(*statuses: int) -> dict[str, Any]:
    """The problems of an operation; what HTTP itself may refuse (405, 408, 414, 431) is the default."""
    named = {str(status): {"description": SHORT[status], "content": _problem_content()} for status in statuses}
    if 503 in statuses:
        named["503"]["headers"] = {
            "Retry-After": {"description": "Seconds", "required": False, "schema": {"type": "integer", "minimum": 0}}
        }
    return {**named, "default": {"description": "Not a request that HTTP allows here", "content": _problem_content()}}


def _problem_content() -> dict[str, Any]:
    return {"application/problem+json": {"schema": _ref("Problem")}}


def _request_id() -> dict[str, Any]:
    return {"description": "The request's id, as sent or made up", "schema": {"type": "string"}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
