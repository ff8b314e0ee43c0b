"""A door in front of the sandbox's storage that refuses the models while it is told to; the record goes through."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DENIED = b'<?xml version="1.0"?><Error><Code>AuthorizationFailure</Code><Message>No.</Message></Error>'


@contextmanager
def refusing_storage(connection: str) -> Iterator[str]:
    """Yields a connection string like `connection`, through which no model can be read."""
    found = re.search(r"BlobEndpoint=http://([^/;]+)", connection)
    assert found, "the sandbox's storage has an endpoint of its own"
    storage = found[1]

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if "-models" in self.path:
                self._answer(403, {"x-ms-error-code": "AuthorizationFailure"}, DENIED)
                return
            inner = http.client.HTTPConnection(storage, timeout=30)
            inner.request(self.command, self.path, body, dict(self.headers))
            answer = inner.getresponse()
            content = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OURS}
            self._answer(answer.status, kept, content)
            inner.close()

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield connection.replace(found[1], f"127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


_OURS = {"content-length", "transfer-encoding", "connection", "keep-alive"}
