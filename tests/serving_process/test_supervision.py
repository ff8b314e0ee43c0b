"""Workers that are killed, hang, or compute what nobody can end: another takes the place, and the rest answer on.
Each with a control without the protection."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving_app.models import picture, score_body, write_shades
from tests.serving_app.running import Service, wait_until

Serve = Callable[..., Service]

BODY = json.dumps(score_body(picture(255)))
SECOND = 1.0
"""Time in which a killed worker must be back. A tenth of it was seen on two cores with a load average of 12."""
DEAF = 400_000
"""Boxes that take the model minutes, in one node."""


def restarts(service: Service) -> float:
    for line in service.get("/metrics")[1].decode().splitlines():
        if line.startswith("serving_worker_restarts_total "):
            return float(line.split()[1])
    return 0.0


def replaced(service: Service, worker: int, seconds: float) -> bool:
    """Whether this worker is replaced in this time."""
    count = len(service.workers())
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if worker not in service.workers() and len(service.workers()) == count:
            return True
        time.sleep(0.02)
    return False


def test_a_worker_that_hangs_altogether_is_replaced(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="2", SERVING_HANG_MS="1000").wait_ready()
    wait_until(lambda: len(service.workers()) == 2)
    worker = service.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    assert replaced(service, worker, 10)
    assert restarts(service) == 1


def test_without_the_heartbeat_it_stays(serve: Serve, picture_dir: Path) -> None:
    """The control."""
    service = serve(picture_dir, SERVING_WORKERS="2", SERVING_HANG_MS="60000").wait_ready()
    wait_until(lambda: len(service.workers()) == 2)
    worker = service.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    assert not replaced(service, worker, 3)


def ask_the_deaf(service: Service, size: int, seconds: float) -> int | None:
    """Ask for what takes the model minutes, in a body of this size; the status, 0 if the connection breaks, None if
    nothing comes in this time."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=seconds)
    try:
        body = json.dumps(score_body(picture(128))).ljust(size)
        connection.request("POST", "/score", body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    except TimeoutError:
        return None
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@pytest.mark.parametrize(("size", "status"), [(100_000, 503), (0, 0)], ids=["in a thread", "in the loop"])
def test_a_worker_whose_model_cannot_be_cut_is_replaced(serve: Serve, tmp_path: Path, size: int, status: int) -> None:
    """A small request is computed in the loop itself, which then cannot even say so: its connection breaks."""
    model = write_shades(tmp_path / "m", deaf=DEAF)
    service = serve(model, SERVING_WORKERS="1", SERVING_MODEL_MS="300").wait_ready()
    (worker,) = service.workers()
    assert ask_the_deaf(service, size, 30) == status
    assert replaced(service, worker, 10)
    assert service.post("/score", score_body(picture(255)))[0] == 200
    assert restarts(service) == 1


def test_without_the_watch_it_stays_and_nobody_is_told(serve: Serve, tmp_path: Path) -> None:
    """The control."""
    model = write_shades(tmp_path / "m", deaf=DEAF)
    service = serve(model, SERVING_WORKERS="1", SERVING_MODEL_MS="60000").wait_ready()
    (worker,) = service.workers()
    assert ask_the_deaf(service, 100_000, 6) is None
    assert service.workers() == [worker]


class Stubborn(threading.Thread):
    """One client that connects anew when its connection breaks, and notes who answered it and when it was not."""

    def __init__(self, service: Service, stop: threading.Event) -> None:
        super().__init__()
        self.service, self.stop = service, stop
        self.answered = 0
        self.broken = 0
        self.wrong: list[str] = []
        self.seen: set[str] = set()
        """The workers that answered: an id that the service makes up begins with eight digits of the worker's own."""

    def run(self) -> None:
        connection = self.service.connect()
        while not self.stop.is_set():
            try:
                connection.request("POST", "/score", BODY, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException):
                self.broken += 1
                connection.close()
                continue
            if response.status != 200 or b"light" not in answer:
                self.wrong.append(f"{response.status} {answer!r}")
            self.seen.add(response.headers["X-Request-Id"][:8])
            self.answered += 1
        connection.close()


class Load:
    """A service under load, by eight clients that keep their connections."""

    def __init__(self, serve: Serve, model: Path, workers: int) -> None:
        self.service = serve(model, SERVING_WORKERS=str(workers)).wait_ready()
        ready = time.monotonic()
        self.stop = threading.Event()
        self.clients = [Stubborn(self.service, self.stop) for _ in range(8)]
        for client in self.clients:
            client.start()
        # A worker that ends within a second of its birth is replaced only after that second.
        wait_until(lambda: time.monotonic() - ready > 1.2 and all(client.answered > 20 for client in self.clients))
        wait_until(lambda: len(self.seen) == workers)

    @property
    def seen(self) -> set[str]:
        """The workers that have answered."""
        return set[str]().union(*(set(client.seen) for client in self.clients))

    def kill_one(self) -> float | None:
        """Kill a worker; the seconds until a new one answered, or None if none did in three."""
        known, killed = self.seen, time.monotonic()
        os.kill(self.service.workers()[0], signal.SIGKILL)
        while time.monotonic() - killed < 3 * SECOND:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=SECOND)
                with contextlib.closing(connection):
                    connection.request("POST", "/score", BODY, {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    if response.status == 200 and response.headers["X-Request-Id"][:8] not in known:
                        return time.monotonic() - killed
            time.sleep(0.01)
        return None

    def end(self) -> None:
        """Stop the clients."""
        self.stop.set()
        for client in self.clients:
            client.join(60)


@pytest.fixture
def load(serve: Serve, picture_dir: Path) -> Iterator[Callable[[int], Load]]:
    loads: list[Load] = []

    def start(workers: int) -> Load:
        loads.append(Load(serve, picture_dir, workers))
        return loads[-1]

    yield start
    for each in loads:
        each.end()


def test_a_worker_killed_under_load_is_back_in_a_second_and_the_other_answers(load: Callable[[int], Load]) -> None:
    under = load(2)
    back = under.kill_one()
    assert back is not None
    assert back <= SECOND
    under.end()
    kept = [client for client in under.clients if client.broken == 0]
    assert 0 < len(kept) < 8, "the load was not on both workers"
    assert all(client.broken <= 1 for client in under.clients), "more was lost than the requests of the killed worker"
    assert [wrong for client in under.clients for wrong in client.wrong] == []


def test_without_supervision_it_does_not_come_back(load: Callable[[int], Load]) -> None:
    """The control: the main process is stopped. So it is the other worker that answers, and nobody else."""
    under = load(2)
    before = [client.answered for client in under.clients]
    under.service.process.send_signal(signal.SIGSTOP)
    try:
        assert under.kill_one() is None
    finally:
        under.service.process.send_signal(signal.SIGCONT)
    assert all(client.answered > answered + 20 for client, answered in zip(under.clients, before, strict=True))


def test_with_one_worker_all_notice(load: Callable[[int], Load]) -> None:
    """The control: there is no other worker that answers meanwhile."""
    under = load(1)
    under.kill_one()
    under.end()
    assert all(client.broken >= 1 for client in under.clients)
