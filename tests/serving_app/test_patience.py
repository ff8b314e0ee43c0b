"""Looking before sleeping: when it is done, and when it is given up."""

from __future__ import annotations

import itertools

from serving_app.http.patience import LONGEST_REST, Patience


class Kernel:
    """A poller that counts how it is asked."""

    def __init__(self) -> None:
        self.ready = False
        self.looks = 0
        self.sleeps = 0

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        if timeout:
            self.sleeps += 1
            return [(1, 1)]
        self.looks += 1
        return [(1, 1)] if self.ready else []


def test_who_asks_again_at_once_is_met_awake() -> None:
    kernel = Kernel()
    patience = Patience(kernel, cpus=2)  # type: ignore[arg-type]
    kernel.ready = True
    for _ in range(100):
        assert patience.events(0.25) == [(1, 1)]
    assert (kernel.looks, kernel.sleeps) == (100, 0)


def test_what_finds_nothing_is_given_up_for_ever_longer() -> None:
    kernel = Kernel()
    patience = Patience(kernel, cpus=2)  # type: ignore[arg-type]
    turns = []
    for turn in range(20_000):
        before = kernel.looks
        patience.events(0.25)
        if kernel.looks > before:
            turns.append(turn)
    assert kernel.sleeps == 20_000, "every turn ends in the sleep that it began with"
    pauses = [later - earlier for earlier, later in itertools.pairwise(turns)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_REST + 1


def test_it_is_taken_up_again() -> None:
    kernel = Kernel()
    patience = Patience(kernel, cpus=2)  # type: ignore[arg-type]
    for _ in range(3 * LONGEST_REST):
        patience.events(0.25)
    kernel.ready = True
    for _ in range(LONGEST_REST + 1):
        patience.events(0.25)
    before = kernel.sleeps
    for _ in range(100):
        patience.events(0.25)
    assert kernel.sleeps == before


def test_a_single_processor_is_left_to_the_caller() -> None:
    kernel = Kernel()
    patience = Patience(kernel, cpus=1)  # type: ignore[arg-type]
    for _ in range(10_000):
        patience.events(0.25)
    assert (kernel.looks, kernel.sleeps) == (0, 10_000)
