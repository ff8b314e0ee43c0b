"""Figures from a Prometheus: of this release's pods alone, each once; what it does not say is never a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from nightferry.clients.figures.prometheus import PrometheusFigures
from nightferry.entities.judging.service_figures import window
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

from tests.fakes.metrics_page import HttpPrometheus, Page, Stock, page
from tests.fakes.still_clock import StillClock

RELEASE = "digits-2026-11-21.1"
POD = "digits-20261121-1-7d9f5c9b8-abcde"


@pytest.fixture
def prometheus() -> HttpPrometheus:
    return HttpPrometheus()


@pytest.fixture
def server(prometheus: HttpPrometheus) -> Iterator[Page]:
    with page(prometheus.say) as found:
        yield found


@pytest.fixture
def figures(server: Page) -> PrometheusFigures:
    return PrometheusFigures(server.address, "production", StillClock())


def refused(figures: PrometheusFigures) -> str:
    with pytest.raises(Temporary) as raised:
        figures.read(RELEASE)
    assert raised.value.reason == Reason.FIGURES_UNAVAILABLE
    return raised.value.sentence


def test_of_this_releases_pods_alone(prometheus: HttpPrometheus, figures: PrometheusFigures) -> None:
    service, other = Stock(), Stock()
    prometheus.scrape(service.text, namespace="production", pod=POD, job="pods", instance="10.0.0.1:8081")
    for namespace, name in (
        ("staging", POD),
        ("production", "digits-20261121-10-7d9f5c9b8-abcde"),
        ("production", "digits-20261121-1"),
        ("production", f"x{POD}"),
    ):
        prometheus.scrape(other.text, namespace=namespace, pod=name, job="pods")
    before = figures.read(RELEASE)
    service.serve(40, 0.03)
    service.serve(2, status="500")
    other.serve(999)
    after = figures.read(RELEASE)
    assert before
    assert after
    found = window(before, after)
    assert (found.requests, found.errors, found.timed) == (42, 2, 40)
    assert math.inf in found.buckets


def test_a_pod_that_was_scraped_twice_counts_once(prometheus: HttpPrometheus, figures: PrometheusFigures) -> None:
    service = Stock()
    for job in ("pods", "services"):
        prometheus.scrape(service.text, namespace="production", pod=POD, job=job)
    figures.read(RELEASE)
    service.serve(10)
    after = figures.read(RELEASE)
    assert after
    assert after.requests == 10


def test_a_container_that_was_started_again_counts_on(prometheus: HttpPrometheus, figures: PrometheusFigures) -> None:
    service = [Stock()]
    prometheus.scrape(lambda: service[0].text(), namespace="production", pod=POD)
    figures.read(RELEASE)
    service[0].serve(50)
    figures.read(RELEASE)
    service[0] = Stock()
    figures.read(RELEASE)
    service[0].serve(5)
    after = figures.read(RELEASE)
    assert after
    assert after.requests == 55


def test_pods_that_are_not_scraped_are_no_figure(figures: PrometheusFigures) -> None:
    assert "scrapes" in refused(figures)


def test_an_api_below_a_path(prometheus: HttpPrometheus) -> None:
    service = Stock()
    prometheus.scrape(service.text, namespace="production", pod=POD)

    def say(path: str) -> tuple[int, str]:
        return prometheus.say(path.removeprefix("/select/0/prometheus"))

    with page(say) as server:
        figures = PrometheusFigures(f"{server.address}/select/0/prometheus/", "production", StillClock())
        assert figures.read(RELEASE)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (400, {"status": "error", "errorType": "bad_data", "error": "parse error"}),
        (503, {"status": "error", "errorType": "timeout", "error": "query timed out"}),
        (401, "Unauthorized"),
        (302, ""),
        (404, "not found"),
        (200, "<html>"),
        (200, []),
        (200, {"status": "error", "error": "no"}),
        (200, {"status": "success", "data": {"resultType": "matrix", "result": []}}),
        (200, {"status": "success", "data": {"resultType": "vector", "result": {}}}),
        (200, {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}]}}),
        (200, {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"__name__": "up"}}]}}),
        (200, "[" * 100_000),
    ],
)
def test_what_is_no_answer_is_no_figure(status: int, answer: Any) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    with page(lambda _: (status, text)) as server:
        assert server.address in refused(PrometheusFigures(server.address, "production", StillClock()))


@pytest.mark.parametrize("value", ["NaN", "-1", "+Inf"])
def test_numbers_that_nobody_counts_are_no_figure(
    prometheus: HttpPrometheus, figures: PrometheusFigures, value: str
) -> None:
    text = Stock().text() + f'serving_requests_total{{route="/score",status="200"}} {value}\n'
    prometheus.scrape(lambda: text, namespace="production", pod=POD)
    assert "no count" in refused(figures)


def test_nobody_listens() -> None:
    assert "127.0.0.1:9" in refused(PrometheusFigures("http://127.0.0.1:9", "production", StillClock()))
