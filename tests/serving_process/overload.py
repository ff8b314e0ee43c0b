"""More than a service can do: clients that ask at a steady pace, whatever the answers."""

from __future__ import annotations

import http.client
import json
import threading
import time

from tests.serving_app.models import picture, score_body
from tests.serving_app.running import Service

BODY = json.dumps(score_body(picture(255)))
SLOW = 3
"""Rounds that make the slow model take some tens of milliseconds."""
ONE = {"SERVING_WORKERS": "1", "SERVING_MODEL_WORKERS": "1", "SERVING_MODEL_THREADS": "1"}
"""One model at a time, on one core: the clients need another."""
SECONDS = 3.0
CROWD = 32
"""Clients of an overload."""


class Paced(threading.Thread):
    """One client that asks at a steady pace, whatever the answers."""

    def __init__(self, service: Service, pause: float, first: float, until: float) -> None:
        super().__init__()
        self.service, self.pause, self.first, self.until = service, pause, first, until
        self.answers: list[tuple[int, float, str | None]] = []
        """Status, seconds, Retry-After."""

    def run(self) -> None:
        connection = self.service.connect()
        due = self.first
        while (now := time.monotonic()) < self.until:
            if now < due:
                time.sleep(due - now)
            due += self.pause
            start = time.monotonic()
            try:
                connection.request("POST", "/score", BODY, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                self.answers.append((0, time.monotonic() - start, None))
                continue
            self.answers.append((response.status, time.monotonic() - start, response.headers["Retry-After"]))
        connection.close()


def ask(service: Service, clients: int, pause: float, seconds: float = SECONDS) -> list[tuple[int, float, str | None]]:
    """Ask with so many clients for so long; all answers."""
    start = time.monotonic()
    threads = [Paced(service, pause, start + i * pause / clients, start + seconds) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [answer for thread in threads for answer in thread.answers]


def overloaded(service: Service, clients: int = 1) -> tuple[float, list[tuple[int, float, str | None]]]:
    """Find out what it can do (answers a second), then ask four times as much."""
    ask(service, clients, 0, 0.5)
    peak = len(ask(service, clients, 0)) / SECONDS  # so few that nobody is refused
    return peak, ask(service, CROWD, CROWD / (4 * peak))
