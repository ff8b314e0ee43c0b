"""Every address of a service in an environment, the one that works best from here first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nightferry.clients.doors.cluster import Cluster
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.gateway import Gateway
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.services.host_names import LOCAL
from nightferry.steps.services.service_address import service_address

Known = Callable[[str, int], bool]
"""Whether programs on this machine find a host at a port."""
HTTPS = 443


@dataclass(frozen=True)
class Address:
    """Where a service answers, and whom."""

    url: str
    """`http://…`, without a slash at its end."""
    by: str
    """`gateway` or `service`."""
    known: bool
    """Whether programs on this machine find it; nobody outside a cluster finds what is inside it."""


def addresses(
    cluster: Cluster, service: str, gateway: Gateway | None, port: int, known: Known, *, every: bool = False
) -> Sequence[Address]:
    """The address for programs on this machine, and with `every` all others after it.

    Through the gateway that is the first of its hosts that this machine knows; none of them, or no route yet, and it
    is the Service's, which every release has.

    Args:
        port: where a gateway's hosts are called; 443 means https.

    Raises:
        Permanent: (service_unknown) nothing was released there yet; (cluster_denied)
        Temporary: (cluster_unavailable)
    """
    found: list[Address] = []
    if gateway and _has_route(cluster, service):
        # Names that mean this machine first: for those nobody's name server is asked.
        for host in sorted(gateway.hosts, key=lambda host: not host.endswith(LOCAL)):
            found.append(Address(_url(host, port), "gateway", known(host, port)))
            if found[-1].known and not every:
                return found[-1:]
    found.sort(key=lambda one: not one.known)
    if any(one.known for one in found):
        return _once([*found, *_of_service(cluster, service)])
    first = _usual(cluster, service)
    return _once([first, *found, *_of_service(cluster, service)]) if every else [first]


def _has_route(cluster: Cluster, service: str) -> bool:
    try:
        return cluster.get("HTTPRoute", service) is not None
    except Permanent as fault:
        if fault.reason != Reason.GATEWAY_MISSING:
            raise
        return False


def _usual(cluster: Cluster, service: str) -> Address:
    url = service_address(cluster, service)
    return Address(url, "service", known=url != _inside(cluster, service))


def _of_service(cluster: Cluster, service: str) -> list[Address]:
    """The Service's own addresses: the users' one where it has it by now, and those inside the cluster."""
    usual: list[Address] = []
    try:
        usual.append(_usual(cluster, service))
    except NightferryError as fault:
        if fault.reason != Reason.CLUSTER_UNAVAILABLE:
            raise
    found = cluster.get("Service", service)
    inside = str(found["spec"].get("clusterIP") or "") if found else ""
    urls = [_inside(cluster, service), *([f"http://{inside}"] if inside else [])]
    return [*usual, *(Address(url, "service", known=False) for url in urls)]


def _inside(cluster: Cluster, service: str) -> str:
    return f"http://{service}.{cluster.namespace}.svc"


def _once(found: Sequence[Address]) -> list[Address]:
    kept: dict[str, Address] = {}
    for one in found:
        kept.setdefault(one.url, one)
    return list(kept.values())


def _url(host: str, port: int) -> str:
    if port == HTTPS:
        return f"https://{host}"
    return f"http://{host}" + ("" if port == 80 else f":{port}")
