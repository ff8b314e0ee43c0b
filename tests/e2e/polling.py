"""A user who keeps calling the service, and remembers every answer."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass, field

import requests


@dataclass
class Caller:
    """Asks /version and /score in turn, each over a new connection, until it is told to stop."""

    url: str
    picture: bytes
    pause: float = 0.02
    asked: int = 0
    failures: list[str] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)
    """The releases that answered, each named once for each change."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Caller:
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(30)

    def _call(self) -> None:
        while not self._stop.is_set():
            for ask in (self._version, self._score):
                self.asked += 1
                try:
                    ask()
                except (requests.RequestException, LookupError, ValueError, TypeError) as fault:
                    self.failures.append(f"{time.strftime('%X')} {type(fault).__name__}: {fault}"[:300])
            self._stop.wait(self.pause)

    def _version(self) -> None:
        answer = requests.get(f"{self.url}/version", headers={"Connection": "close"}, timeout=10)
        answer.raise_for_status()
        release = answer.json()["release"]
        if release not in self.releases[-1:]:
            self.releases.append(release)

    def _score(self) -> None:
        best_label(self.url, self.picture)


def best_label(url: str, picture: bytes) -> str:
    """What the original tutorial's clients compute from an answer."""
    body = json.dumps({"input": json.dumps([str(base64.b64encode(picture))])})
    headers = {"Content-Type": "application/json", "Connection": "close"}
    answer = requests.post(f"{url}/score", data=body, headers=headers, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["result"][0][0][0][0])
