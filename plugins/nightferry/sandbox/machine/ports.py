"""Ports: the usual ones where they are free, else others; what was chosen once is kept."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.layout import ADDRESS

LOOPBACK = "127.0.0.1"
TRIES = 200
"""How many ports above the usual one are tried."""


IP_FREEBIND = 15
"""Lets a socket have an address that the machine does not have yet: the bridge is made later. Python lacks the name."""


@dataclass(frozen=True)
class Port:
    """A port that a part listens on."""

    name: str
    usual: int
    address: str = LOOPBACK
    also: str | None = None
    """Another address on which the same port has to be free."""

    def free(self, number: int) -> bool:
        """Whether the part could listen at this number now."""
        return all(free(address, number) for address in (self.address, self.also) if address)


PORTS = (
    Port("airflow", 8080),
    Port("registry", 5100),
    Port("azurite", 10000, ADDRESS),
    Port("s3", 7070, ADDRESS),
    Port("azurite-queue", 10001, ADDRESS),
    Port("mlflow", 5000, ADDRESS),
    Port("etcd", 2379),
    Port("etcd-peer", 2380),
    Port("kube-apiserver", 6443, ADDRESS),
    Port("kube-controller-manager", 10257),
    Port("kube-scheduler", 10259),
    Port("kubelet", 10250, ADDRESS),
    Port("kubelet-health", 10248),
    Port("kube-proxy-health", 10256),
    Port("kube-proxy-metrics", 10249),
    # Contour's servers, and where Envoy's figures and what it was told can be read.
    Port("contour-xds", 8001),
    Port("contour", 8000),
    Port("contour-debug", 6060),
    Port("envoy-stats", 8002, ADDRESS),
    Port("envoy-admin", 9001),
    # Above 8000: Contour has Envoy listen 8000 higher than a Gateway says.
    Port("gateway", 8880, ADDRESS, also=LOOPBACK),
)


def free(address: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        try:
            trial.bind((address, port))
        except OSError:
            return False
    return True


def choose(kept: Mapping[str, int], in_use_by_us: bool, ports: Iterable[Port] = PORTS) -> dict[str, int]:
    """A port for each name: the kept one, else the usual one, else the next free one above.

    Args:
        kept: what was chosen before.
        in_use_by_us: our own parts run: then the kept ports are taken, by us.

    Raises:
        Permanent: (sandbox_failed) no port near the usual one is free.
    """
    chosen: dict[str, int] = {}
    for port in ports:
        if port.name in kept and in_use_by_us:
            chosen[port.name] = kept[port.name]
            continue
        candidates = [*([kept[port.name]] if port.name in kept else []), *range(port.usual, port.usual + TRIES)]
        found = next((n for n in candidates if n not in chosen.values() and port.free(n)), None)
        if found is None:
            last = port.usual + TRIES - 1
            sentence = (
                f"No port from {port.usual} to {last} of {port.address} is free for {port.name}: end what holds them."
            )
            raise Permanent(Reason.SANDBOX_FAILED, sentence)
        chosen[port.name] = found
    return chosen
