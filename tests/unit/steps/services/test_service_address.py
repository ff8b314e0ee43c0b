"""Where users call a service."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.services.service_address import service_address

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.worlds.rollout_world import World


def cluster_with(spec: dict[str, Any], ingress: list[dict[str, str]] | None = None) -> MemoryCluster:
    cluster = MemoryCluster()
    service = {"kind": "Service", "metadata": {"name": "digits"}, "spec": {"selector": {}, **spec}}
    cluster.create({**service, "status": {"loadBalancer": {"ingress": ingress} if ingress else {}}})
    return cluster


def test_a_node_port() -> None:
    world = World()
    world.roll_out()
    port = world.cluster.get("Service", "digits")["spec"]["ports"][0]["nodePort"]
    assert service_address(world.cluster, "digits") == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("ingress", "port", "address"),
    [
        ({"ip": "20.1.2.3"}, 80, "http://20.1.2.3"),
        ({"ip": "20.1.2.3", "hostname": "digits.example"}, 8080, "http://digits.example:8080"),
    ],
)
def test_a_load_balancer(ingress: dict[str, str], port: int, address: str) -> None:
    cluster = cluster_with({"type": "LoadBalancer", "ports": [{"port": port}]}, [ingress])
    assert service_address(cluster, "digits") == address


def test_a_load_balancer_without_an_address_yet() -> None:
    cluster = cluster_with({"type": "LoadBalancer", "ports": [{"port": 80}]})
    with pytest.raises(Temporary) as caught:
        service_address(cluster, "digits")
    assert caught.value.reason == Reason.CLUSTER_UNAVAILABLE


def test_inside_the_cluster_alone() -> None:
    assert service_address(cluster_with({"ports": [{"port": 80}]}), "digits") == "http://digits.staging.svc"


def test_nothing_released_yet() -> None:
    with pytest.raises(Permanent) as caught:
        service_address(MemoryCluster(), "digits")
    assert caught.value.reason == Reason.SERVICE_UNKNOWN
