"""Calls a WSGI app (PEP 3333) with a request that is already whole."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from serving_app.http.answer import Answer
from serving_app.http.head import Head

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

OWN = frozenset(("content-length", "connection", "date", "x-request-id", "transfer-encoding", "traceparent"))
"""Headers that the server writes itself."""


def call(app: WSGIApplication, head: Head, body: bytes, request_id: str, address: str) -> Answer:
    """Return the app's answer. Whatever the app raises comes through."""
    status, headers, length = "", b"", None

    def start_response(line: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        nonlocal status, headers, length
        status = line
        kept = (f"{name}: {value}\r\n" for name, value in fields if name.lower() not in OWN)
        if head.method == "HEAD":
            length = next((int(value) for name, value in fields if name.lower() == "content-length"), None)
        headers = "".join(kept).encode("latin-1")
        return lambda data: None

    parts: Iterable[bytes] = app(_environ(head, body, request_id, address), start_response)
    try:
        content = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close:
            close()
    return Answer(int(status[:3]), headers, content, length)


def _environ(head: Head, body: bytes, request_id: str, address: str) -> dict[str, Any]:
    host = head.fields.get(b"host", b"").decode("latin-1")
    name, _, port = host.rpartition(":") if ":" in host.rpartition("]")[2] else (host, "", "")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": head.path,
        "QUERY_STRING": head.query,
        "SERVER_NAME": name,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": f"HTTP/1.{head.minor}",
        "REMOTE_ADDR": address,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "serving.request_id": request_id,
    }
    for field, value in head.fields.items():
        if b"_" in field:  # would be taken for the same name with a hyphen
            continue
        key = field.decode("latin-1").upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = value.decode("latin-1")
        elif key not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            environ[f"HTTP_{key}"] = value.decode("latin-1")
    return environ
