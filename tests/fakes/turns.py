"""Threads that take turns: one works at a time, and a seed says which one goes on at each of its calls to the outside.

It makes races repeatable. Threads that were not started here, such as one that waits for a slow record, just work.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes.still_clock import StillClock

_TURNS = 20_000
"""More than any of them needs."""


@dataclass
class _Actor:
    name: str
    work: Callable[[], object]
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    wakes: float = 0.0
    over: bool = False
    fault: BaseException | None = None
    dies: BaseException | None = None


class Turns:
    """Whose `step` is called by every call to the outside, and whose `clock` everybody has."""

    def __init__(self, clock: StillClock, seed: int) -> None:
        self.clock = clock
        self.random = random.Random(seed)
        self._actors: list[_Actor] = []
        self._back = threading.Semaphore(0)
        self._sleep = clock.sleep
        clock.sleep = self._asleep  # type: ignore[method-assign]

    def add(self, name: str, work: Callable[[], object]) -> None:
        """One more who wants to work."""
        self._actors.append(_Actor(name, work))

    @property
    def current(self) -> str:
        """Who has the turn; empty for others."""
        actor = self._mine()
        return actor.name if actor else ""

    def step(self) -> None:
        """Let others go on, perhaps."""
        actor = self._mine()
        if actor:
            self._yield(actor)

    def pause(self, name: str, seconds: float) -> None:
        """Let one not go on for so long, as a process that is stopped."""
        actor = next(one for one in self._actors if one.name == name)
        actor.wakes = max(actor.wakes, self.clock.monotonic() + seconds)

    def kill(self, name: str, fault: BaseException) -> None:
        """Let one end at its next step, and at each one after that."""
        next(one for one in self._actors if one.name == name).dies = fault

    def run(self, meddle: Callable[[], None] = lambda: None) -> dict[str, BaseException | None]:
        """Let all work until they have ended; how each did. `meddle` is called before every turn."""
        threads = [threading.Thread(target=self._act, args=(one,), name=one.name, daemon=True) for one in self._actors]
        for thread in threads:
            thread.start()
        for turn in range(_TURNS + 1):
            alive = [one for one in self._actors if not one.over]
            if not alive:
                break
            names = [one.name for one in alive]
            assert turn < _TURNS, f"they do not come to an end: {names}"
            meddle()
            ready = [one for one in alive if one.wakes <= self.clock.monotonic()]
            if not ready:
                # A clock counts in microseconds: less would not move it.
                self._sleep(max(0.001, min(one.wakes for one in alive) - self.clock.monotonic()))
                continue
            self.random.choice(ready).turn.release()
            assert self._back.acquire(timeout=300), "the one that has the turn does not come back"
        self.clock.sleep = self._sleep  # type: ignore[method-assign]
        return {one.name: one.fault for one in self._actors}

    def _act(self, actor: _Actor) -> None:
        actor.turn.acquire()
        try:
            actor.work()
        except BaseException as fault:
            actor.fault = fault
        actor.over = True
        self._back.release()

    def _yield(self, actor: _Actor) -> None:
        self._back.release()
        actor.turn.acquire()
        if actor.dies:
            raise actor.dies

    def _asleep(self, seconds: float) -> None:
        actor = self._mine()
        if actor is None:
            self._sleep(seconds)
            return
        actor.wakes = self.clock.monotonic() + seconds
        self._yield(actor)

    def _mine(self) -> _Actor | None:
        name = threading.current_thread().name
        return next((one for one in self._actors if one.name == name), None)
