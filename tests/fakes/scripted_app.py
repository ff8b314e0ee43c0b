"""An app of somebody's own: answers what a test says, over real connections."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Said = tuple[int, bytes, dict[str, str]]


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass
class ScriptedApp:
    """`answers`: path -> status, body and headers, or what makes them of the request; other paths are 404, and a
    status of 0 breaks the connection."""

    answers: dict[str, Said | Callable[[Asked], Said]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def says(self, path: str, document: Any = "", status: int = 200, **headers: str) -> None:
        """Answer a path with a text, or with a value as JSON."""
        text = document if isinstance(document, str) else json.dumps(document)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = (status, text.encode(), named)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing is said."""

    def do_GET(self) -> None:
        app = self.server.app
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, body)
        app.asked.append(asked)
        answer = app.answers.get(self.path, (404, b"no such page", {}))
        status, content, headers = answer(asked) if callable(answer) else answer
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, app: ScriptedApp) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.app = app


@contextmanager
def served() -> Iterator[ScriptedApp]:
    """An app on a port of loopback, which says nothing yet."""
    app = ScriptedApp()
    server = _Server(app)
    app.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
