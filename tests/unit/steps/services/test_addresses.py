"""The addresses of a service: the one for this machine first, through the gateway where there is one."""

from __future__ import annotations

import socket
import time
from collections.abc import Collection
from typing import Any

import pytest
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.gateway import Gateway
from nightferry.errors import Permanent
from nightferry.steps.services import host_names
from nightferry.steps.services.addresses import Address, addresses
from nightferry.steps.services.host_names import known_here

from tests.fakes.memory.memory_cluster import MemoryCluster

GATEWAY = Gateway(gateway="users", host="digits.example.org", aliases=("d.example.org", "digits.localhost"))
NODE_PORT = "http://127.0.0.1:30123"


def cluster(*, route: bool = True, **spec: Any) -> MemoryCluster:
    made = MemoryCluster()
    ports = [{"port": 80, "nodePort": 30123}]
    spec = {"type": "NodePort", "ports": ports, "selector": {}, "clusterIP": "10.96.0.9"} | spec
    made.create({"kind": "Service", "metadata": {"name": "digits"}, "spec": spec})
    if route:
        made.create({"kind": "HTTPRoute", "metadata": {"name": "digits"}, "spec": {}})
    return made


def first(of: MemoryCluster, known: Collection[str] = (), gateway: Gateway | None = GATEWAY, port: int = 80) -> Address:
    [only] = addresses(of, "digits", gateway, port, lambda host, _: host in known)
    return only


def test_the_first_host_that_this_machine_knows() -> None:
    assert first(cluster(), GATEWAY.hosts).url == "http://digits.localhost"
    assert first(cluster(), GATEWAY.hosts[:2]).url == "http://digits.example.org"
    assert first(cluster(), ["d.example.org"]) == Address("http://d.example.org", "gateway", known=True)


def test_no_name_server_is_asked_where_a_name_means_this_machine() -> None:
    asked = []

    def known(host: str, _: int) -> bool:
        asked.append(host)
        return True

    addresses(cluster(), "digits", GATEWAY, 80, known)
    assert asked == ["digits.localhost"]


@pytest.mark.parametrize(
    ("port", "url"),
    [(80, "http://digits.example.org"), (8880, "http://digits.example.org:8880"), (443, "https://digits.example.org")],
)
def test_the_port_of_the_gateway(port: int, url: str) -> None:
    assert first(cluster(), ["digits.example.org"], port=port).url == url


def test_where_no_host_is_known_it_is_the_service() -> None:
    assert first(cluster()) == Address(NODE_PORT, "service", known=True)


def test_before_there_is_a_route_it_is_the_service() -> None:
    assert first(cluster(route=False), GATEWAY.hosts).url == NODE_PORT


def test_without_the_gateway_api_it_is_the_service() -> None:
    without = cluster(route=False)
    without.without = {"HTTPRoute"}
    assert first(without, GATEWAY.hosts).url == NODE_PORT


def test_without_a_gateway_nothing_is_asked_about_one() -> None:
    without = cluster(route=False)
    without.without = {"HTTPRoute"}
    assert first(without, GATEWAY.hosts, gateway=None).url == NODE_PORT


def every(of: MemoryCluster, known: Collection[str], gateway: Gateway | None = GATEWAY) -> list[tuple[str, str, bool]]:
    found = addresses(of, "digits", gateway, 8880, lambda host, _: host in known, every=True)
    return [(one.url, one.by, one.known) for one in found]


def test_every_address_the_one_for_this_machine_first() -> None:
    assert every(cluster(), ["d.example.org"]) == [
        ("http://d.example.org:8880", "gateway", True),
        ("http://digits.localhost:8880", "gateway", False),
        ("http://digits.example.org:8880", "gateway", False),
        (NODE_PORT, "service", True),
        ("http://digits.staging.svc", "service", False),
        ("http://10.96.0.9", "service", False),
    ]


def test_every_address_where_no_host_is_known() -> None:
    found = every(cluster(), [])
    assert found[0] == (NODE_PORT, "service", True)
    assert len(found) == len({url for url, _, _ in found}) == 6


def test_every_address_of_a_service_alone() -> None:
    inside = [("http://digits.staging.svc", "service", False), ("http://10.96.0.9", "service", False)]
    assert every(cluster(type="ClusterIP"), [], None) == inside


def test_a_load_balancer_without_an_address_hides_no_gateway() -> None:
    waiting = cluster(type="LoadBalancer")
    assert first(waiting, GATEWAY.hosts).by == "gateway"
    assert [by for _, by, _ in every(waiting, GATEWAY.hosts)] == ["gateway"] * 3 + ["service"] * 2


def test_nothing_released_yet() -> None:
    with pytest.raises(Permanent) as caught:
        addresses(MemoryCluster(), "digits", GATEWAY, 80, lambda *_: True)
    assert caught.value.reason == Reason.SERVICE_UNKNOWN


# What this machine knows


def test_a_name_that_means_this_machine_counts_where_something_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = socket.getaddrinfo

    def resolver(host: str, *more: Any, **options: Any) -> Any:
        return asked("127.0.0.1" if host == "digits.localhost" else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert known_here("digits.localhost", port)
    assert not known_here("digits.localhost", port)


def test_what_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    assert not known_here("digits.example.org", 80)
    assert not known_here("digits.localhost", 80)
    assert not known_here("a" * 64 + ".org", 80)


def test_a_host_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_names, "CONNECT_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("240.0.0.1", 80))])
    start = time.monotonic()
    known_here("digits.localhost", 80)
    assert time.monotonic() - start < 5
