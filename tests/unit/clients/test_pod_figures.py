"""Figures of pods: nobody's past counts, nothing falls, and what cannot be read is never a figure."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from nightferry.clients.figures import page as pages
from nightferry.clients.figures.pods import PodFigures
from nightferry.entities.judging.service_figures import Snapshot, window
from nightferry.entities.pod_state import PodState
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

from tests.fakes.metrics_page import Page, Stock, page, pod
from tests.fakes.still_clock import StillClock

RELEASE = "digits-2026-11-21.1"
FLASK = """\
# HELP flask_http_request_duration_seconds Flask HTTP request duration in seconds
# TYPE flask_http_request_duration_seconds histogram
"""
WORKER = """\
process_start_time_seconds {started}
http_request_duration_seconds_bucket{{le="0.1",status="200"}} {count}
http_request_duration_seconds_bucket{{le="+Inf",status="200"}} {count}
http_request_duration_seconds_count{{status="200"}} {count}
"""


def flask_lines(path: str, status: int, count: int) -> str:
    labels = f'method="POST",path="{path}",status="{status}"'
    lines = [f'_bucket{{le="{le}",{labels}}} {count}' for le in ("0.005", "0.01", "+Inf")]
    return "".join(f"flask_http_request_duration_seconds{line}\n" for line in [*lines, f"_count{{{labels}}} {count}"])


class World:
    """Pods of one release, each with an address of its own on one port."""

    def __init__(self, stack: ExitStack) -> None:
        with socket.create_server(("127.0.0.2", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.clock = StillClock()
        self.pods: dict[str, PodState] = {}
        self._stack = stack
        self.figures = self.reader()

    def reader(self, *ignored: str) -> PodFigures:
        return PodFigures(lambda _: list(self.pods.values()), lambda _: self.port, "/metrics", self.clock, ignored)

    def add(self, number: int, text: Stock | str, **state: bool | int) -> Page:
        ip = f"127.0.0.{number + 1}"
        self.pods[f"pod-{number}"] = pod(f"pod-{number}", ip, **state)  # type: ignore[arg-type]
        say = (lambda _: (200, text.text())) if isinstance(text, Stock) else text
        return self._stack.enter_context(page(say, ip, self.port))

    def restart(self, number: int) -> None:
        self.pods[f"pod-{number}"] = pod(f"pod-{number}", f"127.0.0.{number + 1}", restarts=1)

    def read(self, figures: PodFigures | None = None) -> Snapshot:
        self.clock.advance(10)
        found = (figures or self.figures).read(RELEASE)
        assert found is not None
        return found

    def refuses(self) -> str:
        with pytest.raises(Temporary) as raised:
            self.figures.read(RELEASE)
        assert raised.value.reason == Reason.FIGURES_UNAVAILABLE
        return raised.value.sentence


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack)


def test_pods_are_added_up_and_what_was_before_does_not_count(world: World) -> None:
    one, two = Stock(), Stock()
    one.serve(1000, status="500")
    world.add(1, one)
    world.add(2, two)
    before = world.read()
    assert (before.requests, before.errors) == (0, 0)
    one.serve(30, 0.02)
    two.serve(20, 0.05)
    two.serve(5, status="503")
    two.serve(7, status="400")
    two.serve(99, route="/readyz")
    found = window(before, world.read())
    assert (found.requests, found.errors, found.timed) == (62, 5, 50)
    assert found.seconds == 10
    assert found.p95 == pytest.approx(0.05, rel=0.15)


def test_how_busy_they_are(world: World) -> None:
    one = Stock()
    world.add(1, one)
    assert world.read().busy is None
    one.serve(100, 0.05)
    assert world.read().busy == pytest.approx(5 / (2 * 10))
    one.serve(10_000, 0.05)
    assert world.read().busy == 1


def test_a_pod_that_ends_and_one_that_comes(world: World) -> None:
    one, two = Stock(), Stock()
    world.add(1, one)
    world.read()
    one.serve(10)
    assert world.read().requests == 10
    del world.pods["pod-1"]
    two.serve(500)
    world.add(2, two)
    assert world.read().requests == 10, "what the new one counted before it was seen is nobody's window"
    two.serve(3)
    assert world.read().requests == 13


def test_a_container_that_was_started_again_counts_on(world: World) -> None:
    service = Stock(silent=True)
    server = world.add(1, service)
    world.read()
    service.serve(50)
    assert world.read().requests == 50
    new = Stock(silent=True)
    server.say = lambda _: (200, new.text())
    world.restart(1)
    assert world.read().requests == 50
    new.serve(5)
    assert world.read().requests == 55


def test_counts_that_fall_for_no_reason_are_passed_over(world: World) -> None:
    service, other = Stock(silent=True), Stock(silent=True)
    server = world.add(1, service)
    world.read()
    service.serve(50)
    assert world.read().requests == 50
    other.serve(20)
    for _ in range(3):  # another process with counts of its own, behind the same port
        server.say = lambda _: (200, other.text())
        assert world.read().requests == 50
        server.say = lambda _: (200, service.text())
        assert world.read().requests == 50
    service.serve(1)
    assert world.read().requests == 51


def test_workers_that_say_when_they_began_are_told_apart(world: World) -> None:
    server = world.add(1, "")

    def counts(started: int, count: int) -> int:
        server.say = lambda _: (200, WORKER.format(started=started, count=count))
        return world.read().requests

    assert counts(1, 700) == counts(2, 400) == 0
    assert counts(1, 710) == 10
    assert counts(2, 405) == 15


def test_a_pod_that_is_not_ready_need_not_answer(world: World) -> None:
    service = Stock()
    world.add(1, service)
    world.pods["silent"] = pod("silent", "127.0.0.99", ready=False)
    world.pods["leaving"] = pod("leaving", "127.0.0.98", deleting=True)
    world.read()
    service.serve(3)
    assert world.read().requests == 3


def test_a_ready_pod_that_does_not_answer_is_no_figure(world: World) -> None:
    world.add(1, Stock())
    world.pods["silent"] = pod("silent", "127.0.0.99")
    assert "127.0.0.99" in world.refuses()


def test_no_ready_pod_is_no_figure(world: World) -> None:
    assert "ready" in world.refuses()
    world.add(1, Stock(), ready=False)
    assert "ready" in world.refuses()


def test_a_release_without_the_page_has_no_figures(world: World) -> None:
    world.add(1, "").say = lambda _: (404, "")
    assert world.figures.read(RELEASE) is None
    world.add(2, "python_gc_objects_collected_total 7\n")
    assert world.figures.read(RELEASE) is None


def test_a_page_that_is_gone_for_a_moment_takes_nothing_back(world: World) -> None:
    service = Stock()
    server = world.add(1, service)
    world.read()
    service.serve(9)
    world.read()
    say = server.say
    server.say = lambda _: (404, "")
    assert "not there now" in world.refuses()  # else what was judged before would stand for what nobody sees
    server.say = lambda _: (500, "broken")
    assert "500" in world.refuses()
    server.say = say
    assert world.read().requests == 9


@pytest.mark.parametrize(
    "line",
    [
        'serving_requests_total{route="/score",status="200"} NaN',
        'serving_requests_total{route="/score",status="200"} -1',
        'serving_requests_total{route="/score",status="200"} +Inf',
        'serving_requests_total{route="/score",status="200"} 1e300',
        'serving_requests_total{route="/score",status="200"} seven',
        'serving_requests_total{route="/score',
        'serving_requests_total{route="/score"',
        'serving_prediction_seconds_bucket{le="NaN"} 1',
        'serving_prediction_seconds_bucket{le="soon"} 1',
        'serving_prediction_seconds_bucket{le="0.0001"} 99',
        'serving_requests_total{route="' + "x" * 5000 + '"} 1',
    ],
)
def test_numbers_that_nobody_counts_are_no_figure(world: World, line: str) -> None:
    world.add(1, Stock().text() + line + "\n")
    assert "127.0.0.2" in world.refuses()


def test_a_page_without_an_end_is_no_figure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_SECONDS", 0.2)
    world.add(1, "").drips = True
    start = time.monotonic()
    assert "in time" in world.refuses()
    assert time.monotonic() - start < 20


def test_a_huge_page_is_no_figure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_SECONDS", 60.0)
    world.add(1, "#" * (pages.MOST_BYTES + 1))
    assert "MiB" in world.refuses()
    many = "".join(f'serving_requests_total{{route="/score",status="{n}"}} 1\n' for n in range(pages.MOST_LINES + 1))
    world.pods.clear()
    world.add(2, many)
    assert "lines" in world.refuses()


def test_a_hundred_thousand_other_lines_are_quick(world: World) -> None:
    noise = "".join(f'another_metric{{number="{n}"}} 1\n' for n in range(100_000))
    world.add(1, noise + Stock().text() + "another_metric{broken\n")
    start = time.process_time()
    assert world.read().requests == 0
    assert time.process_time() - start < 2


def test_the_page_of_an_app(world: World) -> None:
    server = world.add(1, FLASK)
    figures = world.reader("/health", "/metrics")
    before = world.read(figures)
    assert before.requests == 0
    server.say = lambda _: (
        200,
        FLASK + flask_lines("/predict", 200, 40) + flask_lines("/predict", 502, 2) + flask_lines("/health", 200, 999),
    )
    found = window(before, world.read(figures))
    assert (found.requests, found.errors, found.timed) == (42, 2, 42)
    assert list(found.buckets) == [0.005, 0.01, math.inf]


@pytest.mark.parametrize("label", ["status", "code", "status_code", "http_response_status_code"])
def test_statuses_by_their_usual_labels(world: World, label: str) -> None:
    text = "".join(
        f'http_server_request_duration_seconds{part},{label}="{status}"}} {count}\n'
        for status, count in ((200, 10), (500, 3))
        for part in ('_bucket{le="+Inf"', '_count{x="y"')
    )
    server = world.add(1, "# TYPE http_server_request_duration_seconds histogram\n")
    world.read()
    server.say = lambda _: (200, text)
    found = world.read()
    assert (found.requests, found.errors) == (13, 3)


def test_a_histogram_without_a_status_is_no_figure(world: World) -> None:
    text = 'http_request_duration_seconds_bucket{le="+Inf"} 10\nhttp_request_duration_seconds_count 10\n'
    world.add(1, text)
    assert world.figures.read(RELEASE) is None
