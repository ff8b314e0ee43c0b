"""Recorded requests of the running service: who gets them, and what a reader may cost the others."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.serving_app.models import picture, score_body
from tests.serving_app.running import Service, free_port, wait_until

Serve = Callable[..., Service]


def recording(serve: Serve, folder: Path, workers: int = 2, most: int = 100) -> tuple[Service, int]:
    port = free_port()
    environ = {"SERVING_STATUS_PORT": str(port), "SERVING_RECORD_REQUESTS": str(most), "SERVING_WORKERS": str(workers)}
    service = serve(folder, **environ).wait_ready()
    wait_until(lambda: len(service.workers()) == workers)
    return service, port


def told(port: int) -> list[Any]:
    return list(document(port)["requests"])


def document(port: int) -> Any:
    """What is told, once it is told again."""
    found: list[bytes] = []

    def answered() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/recorded", timeout=30) as answer:
                found.append(answer.read())
        except HTTPError as error:
            if error.code != 503:
                raise
        return bool(found)

    wait_until(answered)
    return json.loads(found[0])


def test_one_answer_tells_what_all_workers_kept_and_users_do_not_get_it(serve: Serve, picture_dir: Path) -> None:
    service, port = recording(serve, picture_dir)
    for _ in range(40):  # each over a connection of its own, which the workers share
        assert service.post("/score", score_body(picture(255)))[0] == 200
    assert [request["labels"] for request in told(port)] == [["light"]] * 40
    assert service.get("/recorded")[0] == 404
    assert service.get("/%72ecorded")[0] == 404


def test_what_a_worker_kept_outlives_it(serve: Serve, picture_dir: Path) -> None:
    service, port = recording(serve, picture_dir)
    for _ in range(10):
        service.post("/score", score_body(picture(0)))
    before = service.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(service.workers()) == 2 and not set(service.workers()) & set(before))
    wait_until(lambda: service.get("/readyz")[0] == 200)
    assert len(told(port)) == 10


def test_readers_that_do_not_read_cost_callers_nothing(serve: Serve, picture_dir: Path) -> None:
    service, port = recording(serve, picture_dir, workers=1)
    for _ in range(60):
        assert service.post("/score", score_body(*[picture(0, 200, "BMP")] * 2))[0] == 200
    size = len(json.dumps(told(port)))
    assert size > 2_000_000
    before = resident(service)
    readers = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(50)]
    try:
        for reader in readers:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.sendall(b"GET /recorded HTTP/1.1\r\nHost: x\r\n\r\n")
        slowest = 0.0
        for _ in range(50):
            start = time.perf_counter()
            assert service.post("/score", score_body(picture(255)))[0] == 200
            slowest = max(slowest, time.perf_counter() - start)
        assert slowest < 2
        # What they do not take is bounded by SERVING_MAX_UNSENT_BYTES (64 MiB), not by how many they are.
        assert resident(service) - before < 64 * 1024**2 + 10 * size
        assert service.get("/readyz")[0] == 200
    finally:
        for reader in readers:
            reader.close()


def resident(service: Service) -> int:
    """Bytes of all workers."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in service.workers())


def test_huge_requests_take_no_memory(serve: Serve, picture_dir: Path) -> None:
    """What is kept is bounded whatever is sent."""
    service, port = recording(serve, picture_dir, workers=1, most=1000)
    big = score_body(picture(0, 1500, "BMP"))  # 3 MB in base64: more than a fourth of all room
    for _ in range(5):
        assert service.post("/score", big)[0] == 200
    said = document(port)
    assert (said["requests"], said["too_large"]) == ([], 5)
