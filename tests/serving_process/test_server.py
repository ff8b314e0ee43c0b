"""The service as production starts it: starts, drains, comes back after a kill, writes nothing."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving_app.models import picture, score_body, write_shades
from tests.serving_app.running import ROOT, Service, metric, wait_until

Serve = Callable[..., Service]


class Load(threading.Thread):
    """One client that scores again and again over a kept connection, until an answer asks it to leave: in a cluster
    its next connection reaches another pod."""

    def __init__(self, service: Service, stop: threading.Event) -> None:
        super().__init__()
        self.service = service
        self.stop = stop
        self.answered = 0
        self.sent_away = False
        self.failures: list[str] = []

    def run(self) -> None:
        body = json.dumps(score_body(picture(255)))
        connection = self.service.connect()
        while not self.stop.is_set() and not self.sent_away:
            try:
                connection.request("POST", "/score", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                return
            if response.status != 200 or b"light" not in answer:
                self.failures.append(f"{response.status} {answer!r}")
            self.sent_away = response.headers["Connection"] == "close"
            self.answered += 1
        connection.close()


def under_load(service: Service, end: Callable[[], object], clients: int = 8) -> list[Load]:
    """Load the service, end it in the middle, and return what the clients saw."""
    stop = threading.Event()
    loads = [Load(service, stop) for _ in range(clients)]
    for load in loads:
        load.start()
    wait_until(lambda: all(load.answered >= 20 for load in loads))
    end()
    service.wait()
    stop.set()
    for load in loads:
        load.join(30)
    return loads


def status(service: Service, path: str) -> int | None:
    try:
        return service.get(path)[0]
    except OSError:
        return None


def test_it_serves_and_ends_with_0(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir).wait_ready()
    assert service.get("/")[1].startswith(b"Healthy")
    assert service.post("/score", score_body(picture(0)))[1]["result"][0][0][0][0] == "dark"
    service.terminate()
    assert service.wait() == 0


def test_no_request_is_lost_when_it_drains(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="2", SERVING_DRAIN_MS="1000").wait_ready()
    loads = under_load(service, service.terminate)
    assert [failure for load in loads for failure in load.failures] == []
    assert all(load.sent_away for load in loads)
    assert service.wait() == 0


def test_without_draining_requests_are_lost(serve: Serve, picture_dir: Path) -> None:
    """The control: the same load finds failures where nothing drains."""
    service = serve(picture_dir, SERVING_WORKERS="2").wait_ready()

    def kill_all() -> None:
        workers = service.workers()
        service.process.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)

    loads = under_load(service, kill_all)
    assert [failure for load in loads for failure in load.failures] != []


def test_while_draining_it_is_live_not_ready_and_answers(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_DRAIN_MS="1500").wait_ready()
    service.terminate()
    wait_until(lambda: status(service, "/readyz") == 503)
    assert status(service, "/livez") == 200
    assert service.post("/score", score_body(picture(0)))[0] == 200
    assert service.wait() == 0


def test_a_request_in_flight_is_answered_after_draining(serve: Serve, tmp_path: Path) -> None:
    """A request that takes longer than the drain still gets its answer."""
    service = serve(write_shades(tmp_path / "slow", slow=SLOW), SERVING_WORKERS="1").wait_ready()
    answers: list[tuple[int, float]] = []
    request = threading.Thread(
        target=lambda: answers.append((service.post("/score", score_body(picture(0)))[0], time.monotonic()))
    )
    request.start()
    wait_until(lambda: in_flight(service) >= 2)  # it and the scrape that sees it
    told = time.monotonic()
    service.terminate()
    assert service.wait() == 0
    request.join(30)
    ((code, answered),) = answers
    assert code == 200
    assert answered - told > 0.1, "the model was not slow enough for this test to mean anything"


def test_a_kept_idle_connection_does_not_hold_up_the_end(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir).wait_ready()
    connection = service.connect()
    connection.request("GET", "/livez")
    connection.getresponse().read()
    service.terminate()
    started = time.monotonic()
    assert service.wait() == 0
    assert time.monotonic() - started < 5
    connection.close()


def test_a_killed_worker_comes_back(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="2").wait_ready()
    wait_until(lambda: len(service.workers()) == 2)
    victim = service.workers()[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in service.workers() and len(service.workers()) == 2)
    wait_until(lambda: status(service, "/readyz") == 200)
    assert service.post("/score", score_body(picture(255)))[0] == 200


def test_metrics_add_up_over_workers(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="2").wait_ready()
    for _ in range(40):
        assert service.post("/score", score_body(picture(255)))[0] == 200
    text = service.get("/metrics")[1].decode()
    assert 'serving_requests_total{route="/score",status="200"} 40.0' in text.splitlines()
    assert 'serving_prediction_seconds_bucket{le="+Inf"} 40.0' in text.splitlines()


def test_how_busy_it_is_can_be_computed(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="2", SERVING_MODEL_WORKERS="1").wait_ready()
    for _ in range(40):
        assert service.post("/score", score_body(picture(255)))[0] == 200
    wait_until(lambda: metric(service, "serving_room") == 2)
    took = metric(service, "serving_prediction_seconds_sum")
    assert 0 < metric(service, "serving_busy_seconds_total") < 2 * took + 1


def test_it_leaves_nothing_behind(serve: Serve, picture_dir: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    before = set(Path("/dev/shm").iterdir())
    service = serve(picture_dir, HOME=str(home), XDG_CACHE_HOME=str(home), TMPDIR=str(home)).wait_ready()
    assert service.post("/score", score_body(picture(255)))[0] == 200
    service.terminate()
    assert service.wait() == 0
    assert set(Path("/dev/shm").iterdir()) <= before
    assert list(home.iterdir()) == []


def test_a_body_over_the_limit_is_refused_before_it_is_sent(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_MAX_BODY_BYTES="100000").wait_ready()
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert service.get("/readyz")[0] == 200


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda path: (path / "model.json").unlink(), 2, "no model in"),
        (lambda path: write_model(path, b"x", tell=False), 2, "is not the file that model.json describes"),
        (lambda path: write_model(path, b"x", tell=True), 3, "does not open"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    serve: Serve, picture_dir: Path, spoil: Callable[[Path], object], code: int, words: str
) -> None:
    spoil(picture_dir)
    service = serve(picture_dir)
    assert service.wait() == code
    output = service.output()
    assert words in output
    assert "Traceback" not in output


def write_model(path: Path, data: bytes, *, tell: bool) -> None:
    """Put other bytes of the same length in the model's place; in model.json too, if it is to be told."""
    file = path / "model.onnx"
    file.write_bytes(data * (file.stat().st_size // len(data)))
    if tell:
        document = json.loads((path / "model.json").read_text())
        document["files"][0]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        (path / "model.json").write_text(json.dumps(document))


def test_a_taken_port_is_said(picture_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "serving_app", "--model-dir", picture_dir, "--port", str(taken.getsockname()[1])],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 2
    assert "cannot listen on" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_stops_at_once(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_DRAIN_MS="60000").wait_ready()
    service.process.send_signal(signal.SIGINT)
    assert service.wait(10) == 0


def in_flight(service: Service) -> float:
    for line in service.get("/metrics")[1].decode().splitlines():
        if line.startswith("serving_requests_in_flight"):
            return float(line.split()[-1])
    return 0.0


SLOW = 200
"""Rounds that make the slow model take about half a second."""
