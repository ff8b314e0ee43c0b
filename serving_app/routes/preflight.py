"""What a browser asks before it lets a page of another origin send a request (a preflight)."""

from __future__ import annotations

from flask import Flask, Response, request

from serving_app.runtime.browsers import Browsers

SENT = "Content-Type, Inference-Header-Content-Length, X-Request-Id, traceparent"
"""Headers that such a page may send."""
SECONDS = "600"
"""How long the browser need not ask again."""


def answer_preflights(app: Flask, browsers: Browsers) -> None:
    """Say in answers to OPTIONS what an allowed origin may send; Flask knows each path's methods."""

    @app.after_request
    def allow(response: Response) -> Response:
        asked = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if asked and "Allow" in response.headers and browsers.allows(request.headers.get("Origin")):
            response.headers["Access-Control-Allow-Methods"] = response.headers["Allow"]
            response.headers["Access-Control-Allow-Headers"] = SENT
            response.headers["Access-Control-Max-Age"] = SECONDS
        return response
