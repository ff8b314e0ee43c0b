"""Clients that want the service to be deaf: whatever they do, a probe is answered in time and others are served."""

from __future__ import annotations

import contextlib
import io
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serving_app.models import picture, score_body, write_echo, write_shades
from tests.serving_app.running import Service, wait_until
from tests.serving_process.overload import ONE
from tests.serving_process.test_overload import metric

Serve = Callable[..., Service]
BODY = json.dumps(score_body(picture(255))).encode()
HEAD = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
IN_TIME = 0.5
"""Seconds in which a probe must be answered."""
DESCRIPTORS = 256


class Prober(threading.Thread):
    """Asks /livez again and again, over a connection of its own each time, as a kubelet does."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._stop_it = threading.Event()
        self.worst = 0.0
        self.answered = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._stop_it.wait(0.02):
            start = time.monotonic()
            try:
                with socket.create_connection(("127.0.0.1", self._port), 10) as connection:
                    connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    said = connection.recv(1000)
            except OSError as error:
                said = repr(error).encode()
            self.worst = max(self.worst, time.monotonic() - start)
            self.answered += 1
            if not said.startswith(b"HTTP/1.1 200 "):
                self.failures.append(said.decode())

    @contextlib.contextmanager
    def watching(self) -> Iterator[Prober]:
        self.start()
        try:
            yield self
            wait_until(lambda: self.answered >= 20)
        finally:
            self._stop_it.set()
            self.join(30)
        assert self.failures == []
        assert self.worst < IN_TIME


@contextlib.contextmanager
def crowd(service: Service, count: int, data: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections, each of which has sent this."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), 30))
            with contextlib.suppress(ConnectionError):
                sock.sendall(data)
            sockets.append(sock)
        yield sockets


@pytest.fixture
def few(picture_dir: Path) -> Iterator[Service]:
    """A service that may have few files and connections open."""
    service = Service(picture_dir, {"SERVING_WORKERS": "1"}, descriptors=DESCRIPTORS)
    yield service.wait_ready()
    service.kill()


@pytest.mark.parametrize("path", [b"/%73core", b"/%73%63%6f%72%65", b"/v2/models/shades/%69nfer"])
def test_another_spelling_of_a_path_waits_for_the_model_too(serve: Serve, tmp_path: Path, path: bytes) -> None:
    service = serve(write_shades(tmp_path / "m", slow=100), **ONE).wait_ready()
    with Prober(service.port).watching(), crowd(service, 6, HEAD % (path, len(BODY)) + BODY) as sockets:
        assert sockets[0].recv(1000).startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))


def test_bodies_that_are_announced_deafen_nobody(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="1").wait_ready()
    with Prober(service.port).watching(), crowd(service, 40, HEAD % (b"/score", 16 * 1024 * 1024) + b"{"):
        for _ in range(5):
            assert service.post("/score", score_body(picture(255)))[0] == 200


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-"], ids=["idle", "slow heads"])
def test_more_connections_than_descriptors_deafen_nobody(few: Service, data: bytes) -> None:
    with Prober(few.port).watching(), crowd(few, 3 * DESCRIPTORS, data):
        for _ in range(5):
            assert few.post("/score", score_body(picture(255)))[0] == 200
        assert metric(few, "process_open_fds") < DESCRIPTORS


def test_pictures_larger_than_they_look_deafen_nobody(serve: Serve, picture_dir: Path) -> None:
    """24 megapixels in 34 bytes, to be put on white paper."""
    drawn = io.BytesIO()
    Image.new("RGBA", (6000, 4000)).save(drawn, "WEBP", lossless=True, method=0)
    body = json.dumps(score_body(drawn.getvalue())).encode()
    service = serve(picture_dir, SERVING_WORKERS="1", SERVING_MODEL_THREADS="16").wait_ready()
    with Prober(service.port).watching(), crowd(service, 8, HEAD % (b"/score", len(body)) + body) as sockets:
        for sock in sockets:
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_lists_that_outgrow_their_text_deafen_nobody(serve: Serve, tmp_path: Path) -> None:
    body = b'{"inputs": [' + b"[]," * 5_000_000 + b"[]]}"
    service = serve(write_echo(tmp_path / "m", "BYTES"), SERVING_WORKERS="1").wait_ready()
    before = metric(service, "process_resident_memory_bytes")
    with Prober(service.port).watching():
        for _ in range(5):
            with crowd(service, 1, HEAD % (b"/v2/models/echo/infer", len(body)) + body) as (sock,):
                assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert metric(service, "process_resident_memory_bytes") < before + 100e6


def test_answers_that_nobody_reads_deafen_nobody(serve: Serve, tmp_path: Path) -> None:
    """Each is longer than what the kernel takes: four megabytes of binary become twelve of JSON."""
    row = np.full(1_000_000, 0.123456789, np.float32).tobytes()
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1_000_000], "parameters": {"binary_data_size": len(row)}}
    document = json.dumps({"inputs": [tensor]}).encode()
    head = HEAD.replace(b"Content-Type: application/json", b"Inference-Header-Content-Length: %d")
    request = head % (b"/v2/models/echo/infer", len(document), len(document) + len(row)) + document + row
    model = write_echo(tmp_path / "m", "FP32", (-1, 1_000_000))
    service = serve(model, SERVING_WORKERS="1", SERVING_MAX_UNSENT_BYTES="16000000").wait_ready()
    with Prober(service.port).watching(), crowd(service, 30, request):
        wait_until(lambda: metric(service, 'serving_refused_total{reason="unsent"}') >= 10)


def test_the_soft_limit_of_descriptors_is_raised(serve: Serve, picture_dir: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = min(200, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    try:
        service = serve(picture_dir, SERVING_WORKERS="1").wait_ready()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert metric(service, "process_max_fds") > low


def leave(sock: socket.socket, *, abruptly: bool) -> None:
    if abruptly:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


@pytest.mark.parametrize("abruptly", [False, True], ids=["FIN", "RST"])
def test_what_nobody_waits_for_is_not_computed(serve: Serve, tmp_path: Path, abruptly: bool) -> None:
    service = serve(write_shades(tmp_path / "m", slow=100), **ONE).wait_ready()
    with crowd(service, 1, HEAD % (b"/score", len(BODY)) + BODY) as (first,):
        wait_until(lambda: metric(service, "serving_requests_in_flight") >= 2)
        with crowd(service, 5, HEAD % (b"/score", len(BODY)) + BODY) as sockets:
            wait_until(lambda: metric(service, "serving_queue_requests") >= 5)
            for sock in sockets:
                leave(sock, abruptly=abruptly)
        assert first.recv(1000).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: metric(service, 'serving_refused_total{reason="left"}') == 5)
    assert metric(service, "serving_model_seconds_count") == 1


def test_who_stays_is_computed(serve: Serve, tmp_path: Path) -> None:
    """The control."""
    service = serve(write_shades(tmp_path / "m", slow=30), **ONE).wait_ready()
    with crowd(service, 4, HEAD % (b"/score", len(BODY)) + BODY) as sockets:
        for sock in sockets:
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert metric(service, "serving_model_seconds_count") == 4
