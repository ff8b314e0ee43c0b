"""Around every request where another WSGI server runs the app: count it, time it, name it, say to browsers what every
answer says, and while draining ask the client to leave. The service's own server does all of that itself."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from serving_app.runtime.browsers import Browsers
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Row, route_of
from serving_app.runtime.trace import go_on, request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Middleware:
    """WSGI middleware. The request's id is taken from X-Request-Id or made up, and goes back in the same header."""

    def __init__(self, app: WSGIApplication, row: Row, lifecycle: Lifecycle, browsers: Browsers) -> None:
        self._app = app
        self._row = row
        self._lifecycle = lifecycle
        self._browsers = browsers

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        start = time.perf_counter()
        name = environ["serving.request_id"] = request_id(environ.get("HTTP_X_REQUEST_ID"))
        trace = go_on(environ.get("HTTP_TRACEPARENT"))
        status = "500"

        def start_named(line: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal status
            status = line[:3]
            headers.append(("X-Request-Id", name))
            headers += self._browsers.headers(environ.get("HTTP_ORIGIN"))
            if trace:
                headers.append(("traceparent", trace[1]))
            if self._lifecycle.draining:
                headers.append(("Connection", "close"))
            return start_response(line, headers, *rest)

        self._row.in_flight(1)
        try:
            return self._app(environ, start_named)
        finally:
            self._row.in_flight(-1)
            self._row.request(route_of(environ["PATH_INFO"]), status, time.perf_counter() - start)
