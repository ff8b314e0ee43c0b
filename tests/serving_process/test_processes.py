"""What the main process does for its workers and its container, and what it says: ports, log, numbers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving_app.process.server import listen
from tests.serving_app.models import picture, score_body
from tests.serving_app.running import ROOT, Service, free_port, wait_until
from tests.serving_process.test_overload import metric

Serve = Callable[..., Service]
CONTAINER = """
import os, subprocess, sys, time
from pathlib import Path
import ctypes
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: as the first process of a container it inherits orphans
subprocess.Popen(["sh", "-c", "sleep 0.3 & exit 0"]).wait()
sys.argv[0] = "serving_app"
from serving_app.command import main
sys.exit(main(sys.argv[1:]))
"""
"""A main process to which others' children fall."""


def test_refusals_are_in_the_access_log_with_who_was_refused(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_ACCESS_LOG="1", SERVING_MAX_BODY_BYTES="1000").wait_ready()
    for head in (
        b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PUT /large HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n",
        b"GET /good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"nonsense\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
            connection.sendall(head)
            assert connection.recv(1000)
    service.terminate()
    assert service.wait() == 0
    lines = [json.loads(line) for line in service.output().splitlines() if '"milliseconds"' in line]
    found = {(line["method"], line["path"], line["status"]) for line in lines if line["path"] != "/readyz"}
    assert {("PUT", "/large", 413), ("GET", "/good", 404), ("", "", 400)} <= found
    assert ("POST", "/score", 400) in found
    assert {line["address"] for line in lines} == {"127.0.0.1"}


def test_the_port_for_probes_has_the_metrics_and_nothing_else(serve: Serve, picture_dir: Path) -> None:
    port = free_port()
    service = serve(picture_dir, SERVING_STATUS_PORT=str(port)).wait_ready()
    statuses = {path: (service.get(path)[0], at(port, path)) for path in ("/livez", "/readyz", "/v2/health/ready")}
    assert statuses == {"/livez": (200, 200), "/readyz": (200, 200), "/v2/health/ready": (200, 200)}
    assert (service.get("/metrics")[0], at(port, "/metrics")) == (404, 200)
    assert (service.get("/%6detrics")[0], at(port, "/%6detrics")) == (404, 200)
    assert (service.get("/version")[0], at(port, "/version")) == (200, 404)
    assert (service.post("/score", score_body(picture(255)))[0], at(port, "/score")) == (200, 404)


def at(port: int, path: str) -> int:
    """Return the status at another port."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return int(connection.recv(1000).split()[1])


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no IPv6")
def test_every_address_means_both_kinds() -> None:
    port = free_port()
    with listen("::", port), socket.create_connection(("127.0.0.1", port), 10):
        pass


def test_cpu_time_never_falls(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="2").wait_ready()
    wait_until(lambda: len(service.workers()) == 2)
    while metric(service, "process_cpu_seconds_total") < 0.3:
        service.post("/score", score_body(picture(255)))
    seen = [metric(service, "process_cpu_seconds_total")]
    for victim in service.workers():
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda victim=victim: victim not in service.workers())  # type: ignore[misc]
        with contextlib.suppress(OSError):
            seen.append(metric(service, "process_cpu_seconds_total"))
    wait_until(lambda: len(service.workers()) == 2)
    seen.append(metric(service, "process_cpu_seconds_total"))
    assert seen == sorted(seen)


def start(model: Path, port: int) -> subprocess.Popen[bytes]:
    """Start a service that inherits an orphan at once."""
    return subprocess.Popen(
        [sys.executable, "-c", CONTAINER, "--model-dir", str(model), "--port", str(port), "--workers", "2"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""


def test_the_first_process_buries_the_dead_of_others(picture_dir: Path) -> None:
    port = free_port()
    process = start(picture_dir, port)
    try:
        wait_until(lambda: len(children(process.pid)) == 2 and answers(port))
        time.sleep(0.4)  # the orphan has ended by now
        wait_until(lambda: [state(child) for child in children(process.pid)].count("Z") == 0, 5)
    finally:
        process.terminate()
        assert process.wait(30) == 0


def answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return at(port, "/livez") == 200
    return False


ORPHAN = """
import os, sys, time
from pathlib import Path
from serving_app.process import worker
from serving_app.process.server import listen
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Metrics
from serving_app.settings import Settings
config = Settings(model_dir=Path(sys.argv[1]))
metrics, parent = Metrics(1), os.getpid()
listener = listen("127.0.0.1", int(sys.argv[2]))
if os.fork() == 0:
    while os.getppid() == parent:  # the main process dies before the worker has begun
        time.sleep(0.01)
    worker.main(0, config, [listener], Lifecycle(), metrics, None, parent=parent)
"""


def test_a_worker_whose_main_process_died_while_it_began_leaves(picture_dir: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(picture_dir), str(port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout
        process.stdout.read()  # to the end: both have left
        assert process.wait(30) == 0
    assert not answers(port)
