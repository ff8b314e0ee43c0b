"""Asking a part of the sandbox something over HTTP: never through a proxy, never for long."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 3.0
"""Seconds a healthy part on this machine needs at most for an answer, even while others start."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path | str, timeout: float = TIMEOUT) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(self.timeout)
        try:
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        self.sock = made


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    """One GET: the status and the body. Closes the connection."""
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def connect(url: str, tls: ssl.SSLContext | None = None, timeout: float = TIMEOUT) -> http.client.HTTPConnection:
    """A connection to the server of `url`."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=tls or unverified())
    return http.client.HTTPConnection(parts.netloc, timeout=timeout)


def unverified() -> ssl.SSLContext:
    """TLS without a look at the certificate, for servers on loopback that make up their certificate as they start."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def client_context(tls: Sequence[str]) -> ssl.SSLContext:
    """TLS with one CA alone, as the holder of a certificate: the files of CA, certificate and key."""
    ca, certificate, key = tls
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(certificate, key)
    return context


def explain(problem: BaseException) -> str:
    """A few words for what went wrong while asking."""
    match problem:
        case FileNotFoundError() | ConnectionRefusedError():
            return "nothing listens"
        case TimeoutError() | subprocess.TimeoutExpired():
            return "no answer in time"
        case OSError() if problem.strerror:
            return problem.strerror
        case _:
            return str(problem) or type(problem).__name__
