"""The gateway through which users reach an environment: `traffic: {gateway: users, host: churn.example.org}`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import Field

from nightferry.entities.frozen import Frozen

NAMESPACE = "gateway"
"""Where a gateway is that is named without a namespace: an installation has one, and not in an environment."""
SERVICE_ALONE = "service"
"""What a file may say where there is no gateway: `traffic: service`."""
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_NAME = re.compile(rf"((?P<namespace>{_LABEL})/)?(?P<name>(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*)")


class Gateway(Frozen):
    """Users call a host name, and a gateway of the Gateway API sends each request to a release."""

    gateway: str
    """The Gateway's name, alone where it is in the namespace `gateway`, else `namespace/name`."""
    host: str
    """The name that users call."""
    aliases: tuple[str, ...] = Field(default=(), max_length=15)
    """Other names that the gateway takes for the service; a route has sixteen at most."""

    @property
    def namespace(self) -> str:
        """Where the Gateway is."""
        namespace, slash, _ = self.gateway.rpartition("/")
        return namespace if slash else NAMESPACE

    @property
    def name(self) -> str:
        """What the Gateway is called there."""
        return self.gateway.rpartition("/")[2]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every name, the one that users call first."""
        return (self.host, *self.aliases)


def parse_traffic(value: object) -> object:
    """What a file says at `traffic`, as a Gateway's fields, or None for the Service alone.

    Raises:
        ValueError: it is neither of the two.
    """
    if value in (None, SERVICE_ALONE):
        return None
    if not isinstance(value, dict | Gateway):
        raise ValueError(f"write `{SERVICE_ALONE}`, or {{gateway: NAME, host: HOST}}, not {value!r}")
    return value


def gateway_faults(gateway: Gateway) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it, for each name that no Gateway and no host can have."""
    if not _NAME.fullmatch(gateway.gateway):
        yield "traffic.gateway", f"not the name of a Gateway, nor a namespace/name: {gateway.gateway!r}"
    for number, host in enumerate(gateway.hosts):
        key = f"traffic.aliases.{number - 1}" if number else "traffic.host"
        if what := _host_fault(host):
            yield key, what
        elif host in gateway.hosts[:number]:
            yield key, f"{host} is there twice"


def _host_fault(host: str) -> str | None:
    if "*" in host:
        return f"a service has a name of its own, no wildcard: {host!r}"
    if host != host.lower():
        return f"a host name is written in lower case: {host.lower()}"
    if not _HOST.fullmatch(host):
        return f"not a host name such as churn.example.org: {host!r}; no scheme, no port, no path"
    if host.rpartition(".")[2].isdigit():
        return f"an address is no host name: {host!r}"
    return None
