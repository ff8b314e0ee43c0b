"""Steps run in the order of their needs, together where they can, and stop at the first failure."""

from __future__ import annotations

import threading

import pytest
from nightferry.sandbox.graph import Step, run_all


def test_needs_come_first() -> None:
    done: list[str] = []
    steps = [Step(n, lambda n=n: done.append(n), needs) for n, needs in (("c", ("b",)), ("b", ("a",)), ("a", ()))]  # type: ignore[misc]
    run_all(steps, threading.Event())
    assert done == ["a", "b", "c"]


def test_what_can_runs_together() -> None:
    """Each waits for the other: one after the other they would never meet."""
    meet = threading.Barrier(2, timeout=10)
    run_all([Step("a", lambda: void(meet.wait())), Step("b", lambda: void(meet.wait()))], threading.Event())


def test_a_need_that_the_user_brings_counts_as_done() -> None:
    done: list[str] = []
    run_all([Step("a", lambda: done.append("a"), ("the user's registry",))], threading.Event())
    assert done == ["a"]


def test_after_a_failure_nothing_begins_and_what_runs_is_told() -> None:
    done: list[str] = []
    stop = threading.Event()
    begun = threading.Event()

    def fail() -> None:
        begun.wait(10)
        raise RuntimeError("broken")

    def long() -> None:
        begun.set()
        done.append("told" if stop.wait(10) else "not told")

    steps = [Step("fail", fail), Step("long", long), Step("after", lambda: done.append("after"), ("long",))]
    with pytest.raises(RuntimeError, match="broken"):
        run_all(steps, stop)
    assert done == ["told"]


def test_a_circle_is_an_error() -> None:
    steps = [Step("a", lambda: None, ("b",)), Step("b", lambda: None, ("a",))]
    with pytest.raises(ValueError, match="cycle"):
        run_all(steps, threading.Event())


def void(_: object) -> None:
    """Nothing."""
