"""The same odd bytes through proxies that people have in front of the service: both ends agree on where a request ends.

Each proxy keeps connections to the service and sends one client's request behind another's. What one of them takes for
a body and the other for a request would show as an answer to `/smuggled`, as an answer that belongs to somebody else,
or as another number of requests at one end.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving_app.models import write_shades
from tests.serving_app.running import Service, free_port, wait_until

ANSWER = re.compile(rb"HTTP/1\.[01] [2-5]\d\d ")
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v2/models HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(SMUGGLED)
ODD = {
    "a request as a body": POST + LENGTH + b"\r\n" + SMUGGLED,
    "GET with a body": POST.replace(b"POST", b"GET") + LENGTH + b"\r\n" + SMUGGLED,
    "chunks": CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    "length and chunks": POST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + LENGTH + b"Content-Length: 0\r\n\r\n" + SMUGGLED,
    "lengths in one field": POST + b"Content-Length: 0, %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    "length with a sign": POST + b"Content-Length: +%d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    "length in hexadecimal": POST + b"Content-Length: 0x0\r\n\r\n" + SMUGGLED,
    "no length": POST + b"\r\n" + SMUGGLED,
    "coding with a space": POST + LENGTH + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "coding with a tab": POST + LENGTH + b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "coding with a vertical tab": POST + LENGTH + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "coding that is none": POST + LENGTH + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "coding twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "folded coding": POST + LENGTH + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "coding with an underscore": POST + LENGTH + b"Transfer_Encoding: chunked\r\n\r\n" + SMUGGLED,
    "coding behind a bare line feed": POST + LENGTH + b"X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "coding behind a bare return": POST + LENGTH + b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "null in a field": POST + LENGTH + b"X: \0\r\n\r\n" + SMUGGLED,
    "request in trailers": CHUNKED + b"0\r\n" + SMUGGLED,
    "length in trailers": CHUNKED + b"0\r\n" + LENGTH + b"\r\n",
    "chunk with an extension": CHUNKED + b"3;a=b\r\nabc\r\n0\r\n\r\n",
    "chunk with a line feed in its extension": CHUNKED + b"2;\nxx\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED + b"0\r\n\r\n",
    "chunk ended by a line feed": CHUNKED + b"3\nabc\n0\n\n" + SMUGGLED,
    "chunk longer than it says": CHUNKED + b"3\r\nabcde\r\n0\r\n\r\n" + SMUGGLED,
    "chunk of a huge size": CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "chunk with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "chunks in HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n" + SMUGGLED,
    "upgrade with a body": POST + LENGTH + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + SMUGGLED,
    "expectation": POST + LENGTH + b"Expect: 100-continue\r\n\r\n" + SMUGGLED,
    "absolute form": b"POST http://b/v2/models HTTP/1.1\r\nHost: a\r\n" + LENGTH + b"\r\n" + SMUGGLED,
    "two hosts": POST + b"Host: b\r\n" + LENGTH + b"\r\n" + SMUGGLED,
    "line feeds alone": POST.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n" + SMUGGLED,
}  # fmt: skip
ENVOY = """
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: service}}}}]}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: service
    circuit_breakers: {{thresholds: [{{max_connections: 1}}]}}
    load_assignment:
      cluster_name: service
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {service}}}}}}}}}]}}]
"""  # noqa: E501
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null; user root;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream service {{ server 127.0.0.1:{service}; keepalive 1; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; }}
  }}
}}
"""  # noqa: E501


@contextlib.contextmanager
def proxy(kind: str, service: int, folder: Path) -> Iterator[int]:
    """A proxy of this kind in front of a port; its own port."""
    port, admin = free_port(), free_port()
    folder.mkdir()
    config = folder / "config"
    config.write_text(
        (ENVOY if kind == "envoy" else NGINX).format(port=port, admin=admin, service=service, folder=folder)
    )
    if kind == "envoy":
        words = [str(Path(sys.executable).with_name("envoy")), "--config-path", str(config), "--concurrency", "1"]
        words += ["--use-dynamic-base-id", "--log-level", "error"]
        config.rename(config.with_suffix(".yaml"))
        words[2] = str(config.with_suffix(".yaml"))
    else:
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert nginx, "nginx is missing: nightferry up --browser"
        words = [nginx, "-p", str(folder), "-c", str(config)]
    with subprocess.Popen(words) as process:
        try:
            wait_until(lambda: process.poll() is not None or ask(port, "/v2") is not None, 30)
            assert process.poll() is None, f"{kind} has ended"
            yield port
        finally:
            process.terminate()


def ask(port: int, path: str) -> bytes | None:
    """Return a body, or None if nobody answers."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read()
    except OSError:
        return None


def send(port: int, data: bytes) -> bytes:
    """Send bytes; all that comes back until the other end closes, or has nothing more to say."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), 10) as connection, contextlib.suppress(OSError):
        connection.sendall(data)
        connection.settimeout(0.2)
        while part := connection.recv(65536):
            said += part
    return said


def served(port: int) -> int:
    """Return how many requests the service has answered or refused, but for these questions."""
    text = (ask(port, "/metrics") or b"").decode()
    counts = re.findall(r'^serving_requests_total\{route="(\S+)",status.*\} (\S+)$', text, re.MULTILINE)
    return sum(int(float(count)) for route, count in counts if route != "/metrics")


def disagreements(port: int, service: int) -> list[str]:
    """Send all odd bytes to a port that leads to the service; where the two ends read them differently."""
    wrong = []
    for name, data in ODD.items():
        before = served(service)
        answers = len(ANSWER.findall(send(port, data)))
        more = served(service) - before
        if more > answers:
            wrong.append(f"{name}: {more} requests at the service, {answers} answers at the client")
        for path, key in (("/version", b'"sha256"'), ("/v2", b'"serving_app"')):
            if key not in (ask(port, path) or b""):
                wrong.append(f"{name}: another's answer to {path}")
    return wrong


@contextlib.contextmanager
def careless() -> Iterator[int]:
    """A service that believes no request has a body; its port."""
    answers = {b"/version": b'"sha256"', b"/v2": b'"serving_app"'}
    counts = b'serving_requests_total{route="/",status="404"} %d\n'
    asked: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            while True:
                path = [*lines.readline().split(b" "), b"", b""][1]
                while lines.readline().strip():
                    pass
                if not path:
                    return
                if path != b"/metrics":
                    asked.append(path)
                said = counts % len(asked) if path == b"/metrics" else answers.get(path, b"")
                status = b"200 OK" if said else b"404 Not Found"
                connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(said), said))

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.clients
@pytest.mark.parametrize("kind", ["none", "envoy", "nginx"])
def test_both_ends_agree_on_where_a_request_ends(kind: str, tmp_path: Path) -> None:
    settings = {"SERVING_WORKERS": "1", "SERVING_MAX_CONNECTION_AGE_MS": "0"}
    service = Service(write_shades(tmp_path / "m"), settings)
    try:
        port = service.wait_ready().port
        with proxy(kind, port, tmp_path / "proxy") if kind != "none" else contextlib.nullcontext(port) as front:
            assert disagreements(front, port) == []
    finally:
        service.kill()


@pytest.mark.clients
@pytest.mark.parametrize("kind", ["envoy", "nginx"])
def test_a_service_that_does_not_agree_is_found_out(kind: str, tmp_path: Path) -> None:
    """The control."""
    with careless() as service, proxy(kind, service, tmp_path / "proxy") as front:
        assert disagreements(front, service) != []
