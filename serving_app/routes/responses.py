"""How routes read bodies and write JSON and problems."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from serving_app.errors import ModelRefusal, RequestError, problem
from serving_app.inputs import recorder

log = logging.getLogger("serving_app")

FIELDS = {404: "path", 405: "method", 413: "body", 415: "Content-Type"}
DETAILS = {
    404: "nothing is here",
    405: "not a method of this path",
    413: "the body is larger than this service takes",
}


def json_body() -> bytes:
    """Return the request's body.

    Raises:
        RequestError: it is not declared as application/json, or is not plain.
    """
    return _body(("application/json",))


def infer_body(*, in_binary: bool) -> bytes:
    """Return the body of an Open Inference Protocol request, whose public clients leave Content-Type out.

    Raises:
        RequestError: it is declared as something else, or is not plain.
    """
    return _body(("application/json", "", *(("application/octet-stream",) if in_binary else ())))


def _body(kinds: tuple[str, ...]) -> bytes:
    if request.mimetype not in kinds:
        raise RequestError(415, "Content-Type", f"give {' or '.join(filter(None, kinds))}")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise RequestError(415, "Content-Encoding", "send the body as it is, not compressed")
    return request.get_data(cache=False)


def may_be_kept() -> bool:
    """Whether the request does not say that it is no user's."""
    return request.headers.get(recorder.HEADER) != "0"


def encoded(body: bytes, status: int = 200) -> Response:
    """Return bytes that are JSON already."""
    return Response(body, status, content_type="application/json")


def document(value: Any, status: int = 200) -> Response:
    """Return a value as JSON."""
    return encoded(orjson.dumps(value), status)


def _problem(value: dict[str, str | int]) -> Response:
    return Response(orjson.dumps(value), int(value["status"]), content_type="application/problem+json")


def handle_errors(app: Flask) -> None:
    """Turn whatever a route raises into a problem document."""

    @app.errorhandler(RequestError)
    def refused(error: RequestError) -> Response:
        if isinstance(error, ModelRefusal):
            log.warning("request %s: %s", request.environ.get("serving.request_id", ""), error.detail)
        return _problem(error.problem())

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        detail = DETAILS.get(status) or error.description or error.name
        response = _problem(problem(status, detail, FIELDS.get(status)))
        for name, value in error.get_headers():
            if name.lower() == "allow":
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        request_id = request.environ.get("serving.request_id", "")
        log.exception("request %s failed", request_id, exc_info=error)
        return _problem({**problem(500, "the model failed on this request"), "request_id": request_id})
