"""A page of metrics in Prometheus' text format: fetched within bounds, and of it what is looked at."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from nightferry.clients.figures.counts import FAMILIES, Malformed, Sample, names
from nightferry.clients.service_client import Answer, ServiceClient, Unanswered
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

MOST_BYTES = 8 * 1024 * 1024
MOST_SECONDS = 5.0
MOST_LINES = 20_000
LONGEST_LINE = 4096


@dataclass(frozen=True)
class Page:
    """What of a page is looked at."""

    samples: tuple[Sample, ...]
    announced: frozenset[str]
    """The histograms that it names; one that counted nothing has no lines but this."""


def fetch(address: str, path: str, most_bytes: int = MOST_BYTES) -> str | None:
    """What an address answers; None: nothing is there (404).

    Raises:
        Temporary: (figures_unavailable) it does not answer, or not with 200.
    """
    answers: queue.Queue[Answer | Unanswered] = queue.Queue(1)

    def ask() -> None:
        try:
            answers.put(ServiceClient(address, most_bytes, MOST_SECONDS).get(path))
        except Unanswered as silent:
            answers.put(silent)

    # One who sends the head of an answer byte by byte is in time with each of them: nobody waits for that thread.
    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=2 * MOST_SECONDS)
    except queue.Empty:
        raise away(address, "no answer in time") from None
    if isinstance(answer, Unanswered):
        raise away(address, str(answer)) from answer
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise away(address, f"it answered {answer.status}: {answer.said()}")
    return answer.text


def read_page(text: str) -> Page:
    """Read what is looked at, and nothing else: a page may have a hundred thousand other lines.

    Raises:
        Malformed: it is not in the format.
    """
    known, histograms = names(), {family.seconds for family in FAMILIES}
    lines, announced = [], set()
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in known:
            lines.append(line)
        elif name == "#":
            words = line.split(maxsplit=3)[1:]
            if words[0:1] == ["TYPE"] and words[1:] and words[1] in histograms:
                announced.add(words[1])
    if len(lines) > MOST_LINES or any(len(line) > LONGEST_LINE for line in lines):
        raise Malformed(f"it has more than {MOST_LINES} lines of requests, or one that never ends")
    return Page(tuple(_samples(lines)), frozenset(announced))


def _samples(lines: list[str]) -> Iterator[Sample]:
    from prometheus_client.parser import text_string_to_metric_families

    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for one in family.samples:
                yield Sample(one.name, one.labels, float(one.value))
    except (ValueError, KeyError, IndexError, TypeError) as fault:
        raise Malformed("it is not in Prometheus' text format") from fault


def away(address: str, why: str) -> Temporary:
    """The failure to look at figures."""
    return Temporary(Reason.FIGURES_UNAVAILABLE, f"What users met cannot be read at {address}: {why}.")
