"""A storage account on loopback that holds one blob, and gives it as badly as a test wants."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from nightferry.clients import connect
from nightferry.clients.azure.models import AzureModels
from nightferry.settings import Settings

STEP = 64 * 1024


class HttpBlobs(ThreadingHTTPServer):
    """Set the habits; look at `offsets` afterwards."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.etag = content, '"0x1"'
        self.offsets: list[int] = []
        """Where each GET began."""
        self.breaks: list[int] = []
        """After how many bytes each GET's connection is closed; the last is for all further ones."""
        self.holds: int | None = None
        """After how many bytes a GET stands still until `go_on` is set."""
        self.holding, self.go_on = threading.Event(), threading.Event()

    def models(self, folder: Path) -> AzureModels:
        """The model repository in the container `models`; the connection string is kept in `folder`."""
        key = base64.b64encode(b"key").decode()
        address = f"http://127.0.0.1:{self.server_port}/nightferry"
        file = folder / "connection"
        file.write_text(
            f"DefaultEndpointsProtocol=http;AccountName=nightferry;AccountKey={key};BlobEndpoint={address};"
        )
        settings = Settings(folder, folder, {"NIGHTFERRY_STORAGE_CONNECTION_FILE": str(file)})
        return AzureModels(connect.storage(settings), "models", "digits")


class _Handler(BaseHTTPRequestHandler):
    server: HttpBlobs

    def log_message(self, *_: object) -> None:
        """Nothing is said."""

    def do_HEAD(self) -> None:
        self._begin(0)

    def do_GET(self) -> None:
        server = self.server
        offset = int((self.headers.get("x-ms-range") or "bytes=0-")[6:-1])
        server.offsets.append(offset)
        if not self._begin(offset):
            return
        breaks = server.breaks.pop(0) if len(server.breaks) > 1 else next(iter(server.breaks), len(server.content))
        content = memoryview(server.content)[offset:]
        for start in range(0, min(len(content), breaks), STEP):
            if server.holds is not None and start >= server.holds:
                server.holding.set()
                server.go_on.wait(60)
            try:
                self.wfile.write(content[start : min(start + STEP, breaks)])
            except ConnectionError:
                return

    def _begin(self, offset: int) -> bool:
        fits = self.headers.get("If-Match") == self.server.etag
        self.send_response((206 if offset else 200) if fits else 412)
        self.send_header("ETag", self.server.etag)
        self.send_header("Content-Length", str(len(self.server.content) - offset if fits else 0))
        if not fits:
            self.send_header("x-ms-error-code", "ConditionNotMet")
        self.end_headers()
        return fits


@contextmanager
def serving(content: bytes) -> Iterator[HttpBlobs]:
    """The running server."""
    with HttpBlobs(content) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.go_on.set()
            server.shutdown()
