"""Probes against real small servers: what is well, what is not, and in which words."""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.supervise import asking, probes
from nightferry.sandbox.supervise.parts import Part, keep, kept
from nightferry.sandbox.supervise.probes import AirflowHeartbeat, Command, Dns, Envoy, Http, Node, UnixHttp

Serve = Callable[[int, object], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that always gives one answer, and returns its address."""
    servers: list[http.server.HTTPServer] = []

    def begin(status: int, body: object) -> str:
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                """Silent."""

        server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def test_http(serve: Serve) -> None:
    assert Http(serve(200, "ok")).problem(0) is None
    assert Http(serve(500, "etcd is away")).problem(0) == 'answers 500: "etcd is away"'
    assert Http(serve(400, ""), any_answer=True).problem(0) is None


def test_http_is_never_asked_through_a_proxy(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert Http(serve(200, "ok")).problem(0) is None


def test_nothing_there_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert Http(f"http://127.0.0.1:{port}/").problem(0) == "nothing listens"
    assert UnixHttp("/nowhere/at.sock", "/").problem(0) == "nothing listens"


def test_one_that_accepts_and_says_nothing_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking.connect, "__defaults__", (None, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert Http(f"http://127.0.0.1:{server.getsockname()[1]}/").problem(0) == "no answer in time"


def test_commands() -> None:
    assert Command(("true",)).problem(0) is None
    assert Command(("sh", "-c", "echo first >&2; echo the reason >&2; exit 1")).problem(0) == "the reason"
    assert Command(("/nowhere/program",)).problem(0) == "nothing listens"


@pytest.mark.parametrize(
    ("code", "answers", "problem"), [(0, 1, None), (3, 0, "does not know x.y"), (0, 0, "does not know x.y")]
)
def test_name_servers(monkeypatch: pytest.MonkeyPatch, code: int, answers: int, problem: str | None) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            question, address = server.recvfrom(512)
            server.sendto(
                question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, answers, 0, 0) + question[12:], address
            )

        threading.Thread(target=answer, daemon=True).start()
        connect = socket.socket.connect
        port = server.getsockname()[1]
        monkeypatch.setattr(socket.socket, "connect", lambda self, _address: connect(self, ("127.0.0.1", port)))
        assert Dns("127.0.0.1", "x.y").problem(0) == problem


def beat(when: float, status: str = "healthy") -> dict[str, object]:
    stamp = datetime.fromtimestamp(when, UTC).isoformat()
    return {"scheduler": {"status": status, "latest_scheduler_heartbeat": stamp}}


def test_a_heartbeat_of_an_earlier_process_does_not_count(serve: Serve) -> None:
    now = time.time()
    assert AirflowHeartbeat(serve(200, beat(now)), "scheduler").problem(now - 5) is None
    assert AirflowHeartbeat(serve(200, beat(now - 10)), "scheduler").problem(now - 5) == "no heartbeat yet"
    assert AirflowHeartbeat(serve(200, beat(now, "unhealthy")), "scheduler").problem(0) == "Airflow calls it unhealthy"
    assert "does not say" in str(AirflowHeartbeat(serve(200, {}), "scheduler").problem(0))
    assert "503" in str(AirflowHeartbeat(serve(503, {}), "scheduler").problem(0))


class Administration(socketserver.ThreadingUnixStreamServer):
    """Envoy's, as far as the probe asks it."""

    def __init__(self, path: str) -> None:
        self.ready: tuple[int, bytes] = (200, b"LIVE\n")
        self.listeners: object = {}
        answers = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                dump = self.path == "/config_dump?resource=dynamic_listeners"
                status, body = (200, json.dumps(answers.listeners).encode()) if dump else answers.ready
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Silent."""

        super().__init__(path, Answer)


@pytest.fixture
def administration(layout: Layout) -> Iterator[Administration]:
    with Administration(str(layout.runtime / "admin.sock")) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_envoy_is_healthy_when_it_answers_at_the_gateways_address(administration: Administration, serve: Serve) -> None:
    socket_path = str(administration.server_address)
    administration.listeners = {"configs": [{"name": "http-8880", "active_state": {}}]}
    assert Envoy(socket_path, serve(500, "nobody")).problem(0) is None
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert Envoy(socket_path, f"http://127.0.0.1:{port}").problem(0) == "nothing listens"


def test_a_port_of_the_gateways_that_is_taken_is_said(administration: Administration, serve: Serve) -> None:
    """By whoever holds it, the address is answered."""
    details = "cannot bind '10.244.0.1:8880': Address already in use"
    administration.listeners = {
        "configs": [{"name": "stats"}, {"name": "http-8880", "error_state": {"details": details}}]
    }
    assert Envoy(str(administration.server_address), serve(200, "another program")).problem(0) == details


def test_envoy_without_its_configuration_is_not_healthy(administration: Administration, serve: Serve) -> None:
    administration.ready = (503, b"PRE_INITIALIZING\n")
    said = Envoy(str(administration.server_address), serve(200, "")).problem(0)
    assert said == "it waits for its configuration (pre initializing)"


def test_envoy_that_is_not_there() -> None:
    assert Envoy("/nowhere/admin.sock", "http://127.0.0.1:9").problem(0) == "nothing listens"


def test_every_probe_is_the_same_after_it_was_kept(layout: Layout) -> None:
    every = [
        Http("https://127.0.0.1:1/x", ("ca", "cert", "key"), any_answer=True),
        UnixHttp("/a.sock", "/_ping"),
        Command(("ctr", "version")),
        Dns("10.244.0.1", "a.b"),
        Node("http://127.0.0.1:1/healthz", "https://10.244.0.1:6443", ("ca", "cert", "key"), "node"),
        AirflowHeartbeat("http://127.0.0.1:8080", "triggerer"),
        Envoy("/a.sock", "http://10.244.0.1:8880"),
    ]
    assert {type(probe).__name__ for probe in every} == set(probes.KINDS)
    keep(layout, [Part(f"p{number}", ("x",), probe, "here") for number, probe in enumerate(every)])
    assert [known.probe for known in kept(layout)] == every


def test_a_broken_list_of_parts_is_no_parts(layout: Layout) -> None:
    keep(layout, [])
    Path(layout.home / "supervisor" / "parts.json").write_text('[{"name": "half')
    assert kept(layout) == []
