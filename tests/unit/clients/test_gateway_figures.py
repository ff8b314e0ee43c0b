"""Figures of an Envoy in front of a release; a real one is asked in tests/contract/test_service_figures.py."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from nightferry.clients.figures.gateway import GatewayFigures
from nightferry.entities.judging.service_figures import window
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

from tests.fakes.metrics_page import Page, envoy_stats, page
from tests.fakes.still_clock import StillClock

RELEASE = "digits-2026-11-21.1"
CLUSTER = "production_digits-20261121-1_80"


@pytest.fixture
def envoy() -> Iterator[Page]:
    with page(envoy_stats(CLUSTER, 100, bins={12: 100})) as found:
        yield found


def reader(server: Page) -> GatewayFigures:
    return GatewayFigures(server.address, "production", StillClock())


def test_what_happened_between_two_looks(envoy: Page) -> None:
    figures = reader(envoy)
    before = figures.read(RELEASE)
    envoy.say = lambda _: (200, envoy_stats(CLUSTER, 203, 7, {12: 150, 30: 20, 200: 30}))
    after = figures.read(RELEASE)
    assert before
    assert after
    found = window(before, after)
    assert (found.requests, found.errors, found.timed) == (103, 7, 100)
    assert found.slower_than(0.1) == 30
    assert found.saturation is None
    assert math.inf in found.buckets


def test_it_is_asked_for_one_cluster(envoy: Page) -> None:
    reader(envoy).read(RELEASE)
    place = urlsplit(envoy.asked[0])
    words = parse_qs(place.query)
    assert (place.path, words["format"], words["histogram_buckets"]) == ("/stats", ["json"], ["detailed"])
    assert "production_digits\\-20261121\\-1_80" in words["filter"][0]


def test_a_release_that_it_does_not_know_has_no_figures() -> None:
    with page(json.dumps({"stats": []})) as server:
        assert reader(server).read(RELEASE) is None


def test_one_that_forgets_a_release_is_no_figure(envoy: Page) -> None:
    figures = reader(envoy)
    assert figures.read(RELEASE)
    envoy.say = lambda _: (200, json.dumps({"stats": []}))
    with pytest.raises(Temporary) as raised:
        figures.read(RELEASE)
    assert raised.value.reason == Reason.FIGURES_UNAVAILABLE


def test_nobody_was_timed_yet() -> None:
    with page(envoy_stats(CLUSTER, 0)) as server:
        figures = reader(server)
        before = figures.read(RELEASE)
        server.say = lambda _: (200, envoy_stats(CLUSTER, 10, bins={5: 10}))
        after = figures.read(RELEASE)
    assert before
    assert after
    assert window(before, after).timed == 10


def test_every_envoy_of_a_name_is_asked(envoy: Page) -> None:
    with page(envoy_stats(CLUSTER, 5, bins={12: 5}), "127.0.0.2", envoy.server_port) as other:
        address, hosts = f"http://envoy:{envoy.server_port}", ["127.0.0.2", "127.0.0.1", "127.0.0.1"]
        figures = GatewayFigures(address, "production", StillClock(), lambda *_: hosts)
        figures.read(RELEASE)
        other.say = lambda _: (200, envoy_stats(CLUSTER, 9, bins={12: 9}))
        envoy.say = lambda _: (200, envoy_stats(CLUSTER, 101, bins={12: 101}))
        after = figures.read(RELEASE)
    assert after
    assert after.requests == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"stats": 7}',
        '{"stats": [7]}',
        json.dumps({"stats": [{"name": f"cluster.{CLUSTER}.upstream_rq_completed", "value": "many"}]}),
        json.dumps({"stats": [{"name": f"cluster.{CLUSTER}.upstream_rq_completed", "value": -3}]}),
        envoy_stats(CLUSTER, 5).replace('"totals"', '"others"'),
        envoy_stats(CLUSTER, 5, bins={12: 5}).replace('"count": 5', '"count": NaN'),
        "[" * 100_000,
    ],
)
def test_what_no_envoy_says_is_no_figure(text: str) -> None:
    with page(text) as server, pytest.raises(Temporary) as raised:
        reader(server).read(RELEASE)
    assert raised.value.reason == Reason.FIGURES_UNAVAILABLE


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://no-such-name.invalid:8002"])
def test_nobody_listens(address: str) -> None:
    with pytest.raises(Temporary):
        GatewayFigures(address, "production", StillClock()).read(RELEASE)
