"""An MLflow server on loopback that has one registered model, and answers as badly as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

STEP = 64 * 1024


class HttpMlflow(ThreadingHTTPServer):
    """Set the habits; look at `asked` and `offsets` afterwards."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.versions: list[dict[str, Any]] = []
        """What a search brings, in this order."""
        self.files: dict[str, bytes] = {}
        """Artifacts, by their paths."""
        self.answer: tuple[int, dict[str, str], bytes] | None = None
        """What everything is answered with instead."""
        self.breaks: list[int] = []
        """After how many bytes each download's connection is closed."""
        self.ranges = True
        self.asked: list[str] = []
        self.logins: list[str | None] = []
        self.offsets: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, number: int, tags: dict[str, str], name: str = "digits") -> None:
        """A version whose artifacts are in the folder of its number."""
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        self.versions.append({"name": name, "version": str(number), "creation_timestamp": 0, "tags": listed})


class _Handler(BaseHTTPRequestHandler):
    server: HttpMlflow

    def log_message(self, *_: object) -> None:
        """Nothing is said."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.asked.append(parts.path.rpartition("/")[2])
        self.server.logins.append(self.headers.get("Authorization"))
        if self.server.answer:
            self._send(*self.server.answer)
        elif parts.path.endswith("model-versions/search"):
            self._search(query)
        elif parts.path.endswith("get-download-uri"):
            self._document(200, {"artifact_uri": f"mlflow-artifacts:/{query['version']}"})
        elif "path" in query:
            inside = {name: data for name, data in self.server.files.items() if name.startswith(f"{query['path']}/")}
            files = [{"path": name.rpartition("/")[2], "file_size": len(data)} for name, data in inside.items()]
            self._document(200, {"files": files})
        else:
            self._download(parts.path.partition("/artifacts/")[2])

    def _search(self, query: dict[str, str]) -> None:
        start, size = int(query.get("page_token", "0")), int(query["max_results"])
        end = start + size
        page: dict[str, Any] = {"model_versions": self.server.versions[start:end]}
        self._document(200, page | ({"next_page_token": str(end)} if end < len(self.server.versions) else {}))

    def _download(self, path: str) -> None:
        content = self.server.files.get(path)
        if content is None:
            self._document(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No such artifact"})
            return
        offset = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.server.offsets.append(offset)
        rest = content[offset:] if self.server.ranges else content
        self.send_response(206 if offset and self.server.ranges else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        end = self.server.breaks.pop(0) if self.server.breaks else len(rest)
        for start in range(0, min(len(rest), end), STEP):
            self.wfile.write(rest[start : min(start + STEP, end)])

    def _document(self, status: int, document: dict[str, Any]) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(document).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[HttpMlflow]:
    """The running server."""
    with HttpMlflow() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
