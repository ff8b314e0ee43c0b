"""Looks side by side: none delays another, and one process of a machine looks at a repository at a time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from nightferry.clients.clock import SystemClock
from nightferry.clients.turn import turn
from nightferry.entities.reason import Reason
from nightferry.entities.watching.push import Push
from nightferry.steps.watching.look_around import look_around
from nightferry.steps.watching.repositories import repositories
from nightferry.steps.watching.side_by_side import TooSlow, side_by_side

from tests.fakes.worlds.watching_world import WatchingWorld


def test_what_hangs_delays_no_other_and_is_left_to_itself() -> None:
    over = threading.Event()
    jobs = {f"hangs{number}": lambda: over.wait(30) for number in range(4)}
    jobs |= {f"quick{number}": lambda: True for number in range(6)}
    began, order = time.monotonic(), []
    for name, result in side_by_side(jobs, 1.0, SystemClock(), at_once=5):
        order.append((name, result))
    assert time.monotonic() - began < 15
    over.set()
    assert {name for name, result in order if result is True} == {f"quick{number}" for number in range(6)}
    assert all(isinstance(result, TooSlow) for name, result in order if name.startswith("hangs"))
    assert next(name for name, _ in order).startswith("quick")


def test_what_fails_is_told_and_the_others_go_on() -> None:
    jobs = {"bad": lambda: 1 // 0, "good": lambda: 1}
    found = dict(side_by_side(jobs, 5, SystemClock()))
    assert found["good"] == 1
    assert isinstance(found["bad"], ZeroDivisionError)


def test_a_silent_repository_delays_no_other_and_starts_nothing(tmp_path: Path) -> None:
    world, over = WatchingWorld(tmp_path, commit="release"), threading.Event()
    world.clock = SystemClock()  # type: ignore[assignment]
    world.services.append(world.service("silent", address="https://silent.example/app", commit="release"))
    doors, watched = world.doors, world.watched

    def source(address: str) -> object:
        if "silent" in address:
            over.wait(30)
        return watched

    import dataclasses

    doors = dataclasses.replace(doors, source=source)
    looked = look_around(repositories(world.services), doors, seconds=1.0)
    silent, good = sorted(looked, key=lambda one: one.repository.identity.startswith("https://git"))
    assert [fault.reason for fault in silent.faults] == [Reason.WATCH_SLOW]
    assert len(good.started) == len(world.runs.conf) == 1
    over.set()


def test_who_has_the_turn_keeps_others_out_and_one_waits_for_all(tmp_path: Path) -> None:
    clock, order = SystemClock(), []
    waits = threading.Event()

    def later() -> None:
        waits.set()
        mine = False
        while not mine:  # whoever looks below whether it waits may be in its place for a moment
            with turn(tmp_path, "look", clock, wait=20) as mine:
                pass
        order.append(("later", mine))

    with turn(tmp_path, "look", clock) as mine:
        assert mine
        with turn(tmp_path, "look", clock) as other:
            assert not other
        thread = threading.Thread(target=later)
        thread.start()
        waits.wait(10)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # until the other one waits
            with turn(tmp_path, "look", clock, wait=0.0) as third:
                assert not third
            if not _free(tmp_path / "look.next"):
                break
        with turn(tmp_path, "look", clock, wait=20) as third:
            order.append(("third", third))
    thread.join(20)
    assert order == [("third", False), ("later", True)]


def _free(file: Path) -> bool:
    import fcntl

    with file.open("w") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_webhooks_look_begins_after_the_one_under_way(tmp_path: Path) -> None:
    world = WatchingWorld(tmp_path, commit="release")
    world.clock = SystemClock()  # type: ignore[assignment]
    (code,) = repositories(world.services)
    push = Push(repositories=(code.identity,), provider="github")
    with turn(tmp_path / "work" / "watch", code.short, SystemClock()):
        assert world.look()[0].started == ()
        assert world.runs.conf == {}
        thread = threading.Thread(target=world.look, args=(push,))
        thread.start()
        thread.join(0.5)
        assert world.runs.conf == {}
    thread.join(20)
    assert len(world.runs.conf) == 1
