"""Does any user notice releases and rollbacks, one after the other? Through the gateway and through the Service.

    .venv/bin/python benchmarks/zero_drop.py [--rollouts N] [--rollbacks N] [--careless N] [--json]

Three kinds of users ask all the time, by either way: with a new connection for each request, with one connection that
is kept, and with requests whose body takes two seconds to arrive, so that every shift meets some that are under way.
Counted are requests, answers other than 2xx, and connections that broke; measured is how long after a shift (the first
answer of the release that it went to, with a new connection) a user was still answered by the one before.

Then the same users meet careless shifts, as a control: the route and the Service are pointed to pods that have only
just been asked for, and the pods before end at once. Were nothing lost then, the first table would show nothing.
Needs the running sandbox (`nightferry up`); it works in a namespace, a record and a model repository of its own.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nightferry.manifests import names

from tests.e2e.rollout_scene import SERVICE, RolloutScene

KINDS = ("new", "new", "kept", "kept", "slow", "slow")
AIMS = {"gateway": 2.0, "service": 60.0}
"""Seconds until a kept connection is answered by the release that was shifted to."""
SLOW_SECONDS = 2.0
PAUSE = 0.02


@dataclass
class Run:
    """Answers of one release in a row."""

    release: str
    first: float
    last: float


@dataclass
class User(threading.Thread):
    """Asks until told to stop; remembers each failure, and who answered when."""

    way: str
    kind: str
    address: str
    host: str
    picture: bytes
    """A request of one, as JSON."""
    stop: threading.Event
    asked: int = 0
    refused: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Ask."""
        connection = http.client.HTTPConnection(self.address, timeout=15)
        while not self.stop.is_set():
            self.asked += 1
            try:
                self._note(self._slowly(connection) if self.kind == "slow" else self._ask(connection))
            except (OSError, http.client.HTTPException) as fault:
                self.broken.append(f"{time.strftime('%X')} {self.way} {self.kind}: {type(fault).__name__}: {fault}")
                connection.close()
            self.stop.wait(PAUSE)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> str | None:
        # http.client opens a connection anew where the answer before said `Connection: close`, and only then.
        headers = {"Host": self.host} | ({"Connection": "close"} if self.kind == "new" else {})
        connection.request("GET", "/version", headers=headers)
        return self._answered(connection)

    def _slowly(self, connection: http.client.HTTPConnection) -> str | None:
        """A picture whose bytes take their time; the answer names no release."""
        body = self.picture
        connection.putrequest("POST", "/score", skip_host=True)
        connection.putheader("Host", self.host)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        for byte in (body[:1], body[1:-1], body[-1:]):
            connection.send(byte)
            time.sleep(SLOW_SECONDS / 2 if byte != body[-1:] else 0)
        return self._answered(connection)

    def _answered(self, connection: http.client.HTTPConnection) -> str | None:
        answer = connection.getresponse()
        body = answer.read()
        if not 200 <= answer.status < 300:
            self.refused.append(f"{time.strftime('%X')} {self.way} {self.kind}: {answer.status} {body[:80]!r}")
            return None
        release = json.loads(body).get("release")
        return str(release) if release else None

    def _note(self, release: str | None) -> None:
        now = time.monotonic()
        if release is None:
            return
        if self.runs and self.runs[-1].release == release:
            self.runs[-1].last = now
        else:
            self.runs.append(Run(release, now, now))


class Users:
    """All of them, by both ways."""

    def __init__(self, scene: RolloutScene) -> None:
        self._stop = threading.Event()
        gateway = (f"127.0.0.1:{scene.settings.gateway_port}", scene.traffic_by_gateway["host"])
        service = urlsplit(scene.address()).netloc
        encoded = str(base64.b64encode(scene.golden_picture("0")))
        picture = json.dumps({"input": json.dumps([encoded])}).encode()
        ways = {"gateway": gateway, "service": (service, service)}
        self.all = [User(way, kind, *ways[way], picture, self._stop) for way in ways for kind in KINDS]

    def __enter__(self) -> Users:
        for user in self.all:
            user.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for user in self.all:
            user.join(30)

    def await_release(self, release: str, seconds: float) -> None:
        """Those with new connections are answered by it."""
        deadline = time.monotonic() + seconds
        while any(user.runs[-1:] == [] or user.runs[-1].release != release for user in self._new()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{release} answered not everybody within {seconds:g} s")
            time.sleep(0.02)

    def _new(self) -> list[User]:
        return [user for user in self.all if user.kind == "new"]

    def figures(self) -> list[Figures]:
        """A row for each way and kind."""
        rows = []
        for way in AIMS:
            for kind in dict.fromkeys(KINDS):
                here = [user for user in self.all if (user.way, user.kind) == (way, kind)]
                rows.append(
                    Figures(
                        way,
                        kind,
                        sum(user.asked for user in here),
                        sum(len(user.refused) for user in here),
                        sum(len(user.broken) for user in here),
                        None if kind == "slow" else round(max(self._lag(user) for user in here), 2),
                    )
                )
        return rows

    def _lag(self, user: User) -> float:
        """The longest that a user was answered by a release which those with new connections had left, until they came
        back to it if they did."""
        shifts = next(other.runs for other in self._new() if other.way == user.way)
        lags = [0.0]
        for run in user.runs:
            for number, shift in enumerate(shifts):
                if shift.release != run.release and run.first < shift.first < run.last:
                    back = (later.first for later in shifts[number:] if later.release == run.release)
                    lags.append(min(run.last, next(back, run.last)) - shift.first)
        return max(lags)

    @property
    def failures(self) -> list[str]:
        """In the order in which they came."""
        return sorted(failure for user in self.all for failure in [*user.refused, *user.broken])


@dataclass(frozen=True)
class Figures:
    """What the users of one way and kind met."""

    way: str
    kind: str
    requests: int
    not_2xx: int
    broken: int
    lag: float | None
    """Seconds; None where answers name no release."""


def main() -> int:
    """Release, roll back, shift carelessly; print both tables. 0: nothing was lost, and carelessly something was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=20, help="in a row (20)")
    parser.add_argument("--rollbacks", type=int, default=5, help="after them, forth and back (5)")
    parser.add_argument("--careless", type=int, default=5, help="shifts without protection, as a control (5)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    with ExitStack() as stack:
        scene = RolloutScene(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(scene.remove)
        scene.begin()
        environment = {"name": "production", "traffic": scene.traffic_by_gateway, "replicas": 2, "warm_minutes": 0}
        began = time.monotonic()
        careful = _careful(scene, environment, given.rollouts, given.rollbacks)
        seconds = time.monotonic() - began
        careless = _careless(scene, given.careless)
    tables = {"careful": careful.figures(), "careless": careless.figures()}
    if given.json:
        print(json.dumps({kind: [asdict(row) for row in rows] for kind, rows in tables.items()}, indent=2))
    else:
        print(f"{given.rollouts} rollouts and {given.rollbacks} rollbacks in {seconds:.0f} s:")
        _print(tables["careful"])
        print(f"\n{given.careless} careless shifts, as a control:")
        _print(tables["careless"])
    for failure in careful.failures[:10]:
        print(failure, file=sys.stderr)
    lost = any(row.not_2xx or row.broken for row in tables["careful"])
    late = any(row.kind == "kept" and (row.lag or 0) > AIMS[row.way] for row in tables["careful"])
    noticed = any(row.not_2xx or row.broken for row in tables["careless"])
    if not given.json:
        met = not lost and not late and noticed
        print(f"\nThe aims (nothing lost; kept connections follow within {AIMS} s) are {'met' if met else 'NOT met'}.")
    return 1 if lost or late or not noticed else 0


def _careful(scene: RolloutScene, environment: dict[str, Any], rollouts: int, rollbacks: int) -> Users:
    """As Nightferry does it: after every second rollout the pods of the release before end, else they stay warm."""
    releases = [scene.released(**environment)]
    with Users(scene) as users:
        users.await_release(releases[-1], 60)
        for number in range(rollouts):
            releases.append(scene.released(**environment))
            users.await_release(releases[-1], 30)
            if number % 2:
                scene.retire()
        for number in range(rollbacks):
            target = releases[-2] if number % 2 == 0 else releases[-1]
            done = scene.nightferry("rollback", SERVICE, "--to", target, "--reason", "benchmark", "--by", "benchmark")
            if done.returncode:
                raise AssertionError(done.stderr)
            users.await_release(target, 60)
    return users


def _careless(scene: RolloutScene, shifts: int) -> Users:
    """To and fro between two releases: users are sent to pods that have only been asked for, and those before end."""
    two = sorted(scene.deployments(), key=lambda release: int(release.rpartition(".")[2]))[-2:]
    with Users(scene) as users:
        users.await_release(scene.in_use() or "", 60)
        for _ in range(shifts):
            left = scene.in_use() or ""
            (target,) = [release for release in two if release != left]
            scene.scale(target, 0)
            while scene.cluster.list("Pod", names.selector(SERVICE, target)):
                time.sleep(0.1)
            scene.scale(target, 2)
            scene.point_to(target)
            scene.kill_pods(left)
            users.await_release(target, 60)
    return users


def _print(rows: Sequence[Figures]) -> None:
    print(f"{'way':8} {'users':6} {'requests':>9} {'not 2xx':>8} {'broken':>7} {'followed within':>16}")
    for row in rows:
        lag = "" if row.lag is None else f"{row.lag:.2f} s"
        print(f"{row.way:8} {row.kind:6} {row.requests:>9} {row.not_2xx:>8} {row.broken:>7} {lag:>16}")


if __name__ == "__main__":
    sys.exit(main())
