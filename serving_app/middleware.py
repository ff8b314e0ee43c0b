"""Around every request, whatever answers it: count it, time it, name it, and while draining ask the client to leave."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from serving_app.lifecycle import Lifecycle
from serving_app.metrics import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
ROUTES = frozenset(
    ("/", "/score", "/version", "/metrics", "/livez", "/readyz", "/v2", "/v2/health/live", "/v2/health/ready")
)


class Middleware:
    """WSGI middleware. The request's id is taken from X-Request-Id or made up, and goes back in the same header."""

    def __init__(self, app: WSGIApplication, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._app = app
        self._metrics = metrics
        self._lifecycle = lifecycle

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        start = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else os.urandom(8).hex()
        environ["serving.request_id"] = request_id
        route = route_of(environ["PATH_INFO"])
        status = "500"

        def start_named(line: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal status
            status = line[:3]
            headers.append(("X-Request-Id", request_id))
            if self._lifecycle.draining:
                headers.append(("Connection", "close"))
            return start_response(line, headers, *rest)

        self._metrics.in_flight.inc()
        try:
            return self._app(environ, start_named)
        finally:
            self._metrics.in_flight.dec()
            self._metrics.requests.labels(route, status).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - start)


def route_of(path: str) -> str:
    """Return a path's metric label: one of a fixed set, whatever strangers ask for."""
    if path in ROUTES:
        return path
    if path.startswith("/v2/models/"):
        return "/v2/models/infer" if path.endswith("/infer") else "/v2/models"
    return "other"
