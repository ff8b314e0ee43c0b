"""Users who call a service all the time: some open a connection for each request, some keep theirs open."""

from __future__ import annotations

import http.client
import json
import math
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

KINDS = ("new", "new", "open", "open")


class Callers:
    """Four users at once, until told to stop; every request counts, and every failure is kept.

    Args:
        address: where they connect to: `http://127.0.0.1:8880`.
        kinds: one user each.
        host: the name that they ask for there, if that is another one.
    """

    def __init__(self, address: str, kinds: Sequence[str] = KINDS, host: str = "") -> None:
        place = urlsplit(address).netloc
        self._stop = threading.Event()
        self._users = [_User(place, host or place, kind, self._stop) for kind in kinds]

    def __enter__(self) -> Callers:
        for user in self._users:
            user.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for user in self._users:
            user.join(30)

    @property
    def asked(self) -> int:
        """Requests so far."""
        return sum(user.asked for user in self._users)

    @property
    def failures(self) -> list[str]:
        """What went wrong."""
        return [failure for user in self._users for failure in user.failures]

    def all_saw(self, release: str) -> bool:
        """Whether this release is what every user was answered by last."""
        return all(user.releases[-1:] == [release] for user in self._users)

    def await_all(self, release: str, seconds: float) -> None:
        """All are answered by this release in time."""
        deadline = time.monotonic() + seconds
        while not self.all_saw(release):
            assert time.monotonic() < deadline, [user.releases[-1:] for user in self._users]
            time.sleep(0.02)

    def begin_of(self, release: str) -> float:
        """When the first user was answered by a release."""
        return min(user.seen[release][0] for user in self._users if release in user.seen)

    def end_of(self, release: str) -> float:
        """When the last user was answered by a release for the last time; -inf if it answered nobody."""
        return max((user.seen[release][1] for user in self._users if release in user.seen), default=-math.inf)

    def releases_of(self, kind: str) -> list[str]:
        """The releases that the first user of a kind was answered by, in order."""
        return next(user.releases for user in self._users if user.kind == kind)


class _User(threading.Thread):
    def __init__(self, place: str, host: str, kind: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.kind, self.asked = kind, 0
        self.failures: list[str] = []
        self.releases: list[str] = []
        self.seen: dict[str, tuple[float, float]] = {}
        """When each release answered for the first and for the last time."""
        self._place, self._host, self._stopping = place, host, stop

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._place, timeout=10)
        while not self._stopping.is_set():
            self.asked += 1
            try:
                release = self._ask(connection)
                now = time.monotonic()
                self.seen[release] = (self.seen.get(release, (now, now))[0], now)
                if release not in self.releases[-1:]:
                    self.releases.append(release)
            except (OSError, http.client.HTTPException, ValueError, KeyError) as fault:
                self.failures.append(f"{time.strftime('%X')} {self.kind} {type(fault).__name__}: {fault}"[:200])
                connection.close()
            self._stopping.wait(0.03)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> Any:
        # http.client opens a connection anew when the server closed it with `Connection: close`, and only then.
        headers = {"Host": self._host} | ({"Connection": "close"} if self.kind == "new" else {})
        connection.request("GET", "/version", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        return json.loads(body)["release"]
