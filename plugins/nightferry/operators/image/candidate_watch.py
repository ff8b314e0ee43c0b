"""End the prober as soon as the candidate that it asks has ended: it would ask on until its time is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from nightferry.clients.doors.container_runner import ContainerRunner
from nightferry.errors import NightferryError
from nightferry.steps.image.test_image import has_ended

EVERY_SECONDS = 0.5


@contextmanager
def ending_with(candidate: str, runner: ContainerRunner, prober: Callable[[], str]) -> Iterator[None]:
    """Look at the candidate while the block runs.

    Args:
        candidate: its container's name.
        runner: an engine's client that nothing else uses meanwhile.
        prober: gives the prober's container; empty while there is none.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(EVERY_SECONDS):
            with suppress(NightferryError):  # the engine's troubles are met by who waits for the prober
                if prober() and has_ended(runner, candidate):
                    runner.stop(prober())

    thread = threading.Thread(target=watch, name="candidate-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
