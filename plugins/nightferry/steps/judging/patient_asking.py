"""Wait until something answers, ask everything, and begin again when a connection breaks: for every probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nightferry.clients.clock import Clock
from nightferry.clients.service_client import Unanswered
from nightferry.entities.probe_report import Fault, ProbeReport

TRIES = 3
"""A connection that is lost on the way to a healthy service (a cluster's network still settling) is no broken
contract; a service that stops answering loses them all."""
PAUSE_SECONDS = 1.0
POLL_SECONDS = 0.1
MOST_FAULTS = 50
"""Faults after which nothing more is asked: a report travels as one line, and golden examples may be thousands."""


def ask_patiently(
    wait: Callable[[], Fault | None], checks: Callable[[], Iterator[Fault | None]], clock: Clock
) -> ProbeReport:
    """Wait, then ask everything once; every fault is found, not the first alone, up to fifty.

    Args:
        wait: returns what is wrong when the service does not get ready.
        checks: yields one fault or None for each answer that was compared; may raise Unanswered.
        clock: for the pauses and the time taken.
    """
    start = clock.monotonic()
    faults: list[Fault] = []
    checked = 1
    for left in reversed(range(TRIES)):
        waited = wait()
        if waited is not None:
            faults, checked = [waited], 1
            break
        try:
            faults, checked = _found(checks())
            break
        except Unanswered as error:
            sentence = f"The service stopped answering, {TRIES} times: {error}."
            faults = [Fault(kind="silent", sentence=sentence)]
            if left:
                clock.sleep(PAUSE_SECONDS)
    return ProbeReport(faults=tuple(faults), checked=checked, seconds=round(clock.monotonic() - start, 3))


def _found(checks: Iterator[Fault | None]) -> tuple[list[Fault], int]:
    """The faults, and how much was compared with the wait for the start."""
    faults: list[Fault] = []
    checked = 1
    for fault in checks:
        checked += 1
        if fault is not None:
            faults.append(fault)
            if len(faults) == MOST_FAULTS:
                break
    return faults, checked


def await_answer(look: Callable[[], str], clock: Clock, seconds: float) -> str:
    """Look again and again until there is nothing to say, so long at most; what was said last.

    Args:
        look: says what is not as it should be; may raise Unanswered, which is said too.
        clock: for the pauses.
        seconds: how long.
    """
    deadline = clock.monotonic() + seconds
    while True:
        try:
            said = look()
        except Unanswered as error:
            said = str(error)
        if not said or clock.monotonic() >= deadline:
            return said
        clock.sleep(POLL_SECONDS)
