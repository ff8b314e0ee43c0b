"""Where the figures of a plan are read; where nobody counts, a canary has nothing to be judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nightferry.clients.figures.gateway import GatewayFigures
from nightferry.clients.figures.pods import PodFigures
from nightferry.clients.figures.prometheus import PrometheusFigures
from nightferry.entities.app.contract import AppContract
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import Permanent
from nightferry.settings import Settings
from nightferry.steps.judging.figures.figures_of import figures_of

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.worlds.rollout_world import plan

GATEWAY = {"GATEWAY_METRICS": "http://envoy-metrics.gateway:8002"}
PROMETHEUS = {"PROMETHEUS_URL": "http://prometheus.monitoring:9090"}
TRAFFIC = {"traffic": {"gateway": "users", "host": "digits.example.org"}}


def settings(**given: str) -> Settings:
    return Settings(Path(), Path(), {f"NIGHTFERRY_{name}": value for name, value in given.items()})


def of(app: AppContract | None, **environment: Any) -> RolloutPlan:
    return plan(**environment).model_copy(update={"app": app})


COUNTS, SILENT = AppContract(metrics="/metrics"), AppContract()


@pytest.mark.parametrize(
    ("planned", "given", "expected"),
    [
        (of(None), {}, PodFigures),
        (of(None, **TRAFFIC), GATEWAY, PodFigures),
        (of(None), PROMETHEUS | GATEWAY, PrometheusFigures),
        (of(COUNTS), {}, PodFigures),
        (of(COUNTS), PROMETHEUS, PrometheusFigures),
        (of(SILENT), {}, None),
        (of(SILENT), GATEWAY, None),
        (of(SILENT, **TRAFFIC), {}, None),
        (of(SILENT, **TRAFFIC), PROMETHEUS, None),
        (of(SILENT, **TRAFFIC), GATEWAY, GatewayFigures),
    ],
)
def test_the_source(planned: RolloutPlan, given: dict[str, str], expected: type | None) -> None:
    found = figures_of(planned, settings(**given), MemoryCluster())
    assert found is None if expected is None else type(found) is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_METRICS", "envoy:8002"),
        ("GATEWAY_METRICS", "http://envoy:8002/stats"),
        ("PROMETHEUS_URL", "prometheus:9090"),
        ("PROMETHEUS_URL", "http://prometheus/?query=1"),
    ],
)
def test_an_address_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(Permanent, match=f"NIGHTFERRY_{name}"):
        settings(**{name: value})
