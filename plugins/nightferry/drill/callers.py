"""Callers who ask a service all the time, and remember what failed and what was wrong.

Their number, their pace and their requests are bounded, and they ask addresses of this machine alone.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from nightferry.clients.service_client import ServiceClient, Unanswered
from nightferry.entities.model_version import ModelManifest
from nightferry.steps.judging.json_difference import difference
from nightferry.steps.judging.questions import NoAnswer, Question, Said, Side

KINDS = ("new", "kept", "new", "kept")
"""A caller who opens a connection for each request, and one who keeps it, twice."""
PAUSE = 0.1
MOST = 20_000
"""Requests of one caller: an hour of them."""
KEPT = 20
"""Failures of which the words are kept."""


def local(address: str) -> bool:
    """Whether an address means this machine, whatever it is called."""
    place = urlsplit(address)
    try:
        found = socket.getaddrinfo(place.hostname or "", place.port or 80, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        return False
    return bool(found) and all(ipaddress.ip_address(one[4][0]).is_loopback for one in found)


@dataclass(frozen=True)
class Known:
    """A question, and what the release that was found to be right answered."""

    question: Question
    answer: tuple[Said, ...]


def known_answers(address: str, manifest: ModelManifest, questions: Sequence[Question]) -> list[Known]:
    """Ask each question once.

    Raises:
        Unanswered, NoAnswer: the service, which was right a moment ago, does not answer.
    """
    side = Side(ServiceClient(address), manifest)
    return [Known(one, tuple(one.read(side, one.ask(side)))) for one in questions]


@dataclass
class Span:
    """From the first moment of something to its last."""

    first: float | None = None
    last: float | None = None

    @property
    def seconds(self) -> float:
        """How long it was; 0 where it never happened."""
        return 0.0 if self.first is None or self.last is None else self.last - self.first

    def stretch(self, begun: float, ended: float) -> None:
        """It happened then too."""
        self.first = begun if self.first is None else min(self.first, begun)
        self.last = ended if self.last is None else max(self.last, ended)


@dataclass
class Traffic:
    """What callers saw."""

    asked: int = 0
    failed: int = 0
    wrong: int = 0
    words: list[str] = field(default_factory=list)
    """The first failures and wrong answers."""
    failures: Span = field(default_factory=Span)
    wrongs: Span = field(default_factory=Span)
    right_in_a_row: int = 0
    """Requests that were answered rightly since the last one that was not."""


class Callers:
    """Callers of one address, from `with` to its end."""

    def __init__(
        self,
        address: str,
        manifest: ModelManifest,
        known: Sequence[Known],
        kinds: Sequence[str] = KINDS,
        pause: float = PAUSE,
    ) -> None:
        if not local(address):
            raise ValueError(f"{address} is not on this machine")
        self.traffic = Traffic()
        self._address, self._manifest, self._known, self._pause = address, manifest, known, pause
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(kind, number), daemon=True) for number, kind in enumerate(kinds)
        ]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def await_asked(self, more: int, seconds: float = 30.0) -> bool:
        """Wait for so many requests more; whether they came."""
        wanted, deadline = self.traffic.asked + more, time.monotonic() + seconds
        while self.traffic.asked < wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.traffic.asked >= wanted

    def await_right(self, more: int, seconds: float = 30.0) -> bool:
        """Wait until so many requests more, one after the other, were answered rightly; whether they were."""
        wanted, deadline = self.traffic.asked + more, time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                if self.traffic.asked >= wanted and self.traffic.right_in_a_row >= more:
                    return True
            time.sleep(0.02)
        return False

    def _call(self, kind: str, number: int) -> None:
        side = self._side()
        for count in range(MOST):
            if self._stop.is_set():
                return
            if kind == "new":
                side = self._side()
            one = self._known[(number + count) % len(self._known)]
            begun = time.monotonic()
            failure, wrong = self._ask(side, one)
            self._note(begun, f"{kind} connection, {one.question.name}", failure, wrong)
            self._stop.wait(self._pause)

    def _side(self) -> Side:
        return Side(ServiceClient(self._address), self._manifest)

    def _ask(self, side: Side, one: Known) -> tuple[str, str]:
        """How it failed, and how it was wrong; empty where it was right."""
        try:
            said = one.question.read(side, one.question.ask(side))
        except (Unanswered, NoAnswer) as fault:
            return str(fault), ""
        return "", _wrong(one.answer, said)

    def _note(self, begun: float, what: str, failure: str, wrong: str) -> None:
        with self._lock:
            seen = self.traffic
            seen.asked += 1
            seen.right_in_a_row = 0 if failure or wrong else seen.right_in_a_row + 1
            if failure:
                seen.failed += 1
                seen.failures.stretch(begun, time.monotonic())
            if wrong:
                seen.wrong += 1
                seen.wrongs.stretch(begun, time.monotonic())
            if (failure or wrong) and len(seen.words) < KEPT:
                seen.words.append(f"{what}: {failure or wrong}"[:300])


def _wrong(expected: Sequence[Said], got: Sequence[Said]) -> str:
    if len(expected) != len(got):
        return f"{len(got)} answers instead of {len(expected)}"
    for wanted, said in zip(expected, got, strict=True):
        if wanted.label != said.label:
            return f"should give {wanted.label}, got {said.label}"
        if wanted.document is not None:
            differs = difference(wanted.document, said.document, wanted.tolerance)
            if differs:
                return differs.sentence(lambda value: str(value)[:80])
    return ""
