"""What a release's pods need of their cluster beside processors and memory: secrets, ways out, nodes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, StrictInt

from nightferry.entities.frozen import Frozen

_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME = re.compile(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_CIDR = re.compile(r"[0-9a-fA-F.:]+/[0-9]{1,3}")
OS = "kubernetes.io/os"
"""The label by which a node says what it runs; images are Linux's."""


class Egress(Frozen):
    """Where pods may connect to; nowhere is open if nothing is said."""

    to: str
    """A network in CIDR notation."""
    ports: tuple[StrictInt, ...] = Field(max_length=100)
    """TCP ports."""


class Toleration(Frozen):
    """A taint that pods put up with, in Kubernetes' words."""

    key: str | None = None
    """None: of any key; then `operator` is Exists."""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """None: any effect."""


class Placement(Frozen):
    """Which nodes pods may run on."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = Field(default=(), max_length=100)


def secrets_faults(secrets: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it, for each name that no Secret can have."""
    for number, name in enumerate(secrets):
        if not _SUBDOMAIN.fullmatch(name):
            yield f"secrets.{number}", f"not the name of a Secret in the environment's namespace: {name!r}"
        elif name in secrets[:number]:
            yield f"secrets.{number}", f"{name} is there twice"


def egress_faults(egress: tuple[Egress, ...]) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it, for each way out that cannot be opened."""
    for number, way in enumerate(egress):
        if not is_network(way.to):
            yield f"egress.{number}.to", f"not a network such as 10.1.0.0/16 or 2001:db8::/32: {way.to!r}"
        wrong = [port for port in way.ports if not 1 <= port <= 65535]
        if wrong or not way.ports:
            yield f"egress.{number}.ports", f"{wrong[0]} is no port" if wrong else "name at least one port"


def is_network(text: str) -> bool:
    """Whether it is a network in CIDR notation, with no bit set behind the prefix. Kubernetes takes no mask, no zone
    and no address alone."""
    if not _CIDR.fullmatch(text):
        return False
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def placement_faults(placement: Placement) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it, for each label and taint that no node can have."""
    yield from _labels_faults(placement.node_selector)
    for number, one in enumerate(placement.tolerations):
        where = f"placement.tolerations.{number}"
        if one.key is None and one.operator != "Exists":
            yield f"{where}.operator", "without a key, Exists is the only one"
        if one.key is not None and not _is_key(one.key):
            yield f"{where}.key", f"not the key of a taint: {one.key!r}"
        if one.operator == "Exists" and one.value:
            yield f"{where}.value", "with Exists there is no value"
        if one.value and not _NAME.fullmatch(one.value):
            yield f"{where}.value", f"not the value of a taint: {one.value!r}"


def _labels_faults(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in labels.items():
        where = f"placement.node_selector.{key}"
        if not _is_key(key):
            yield where, "not the key of a label"
        elif value and not _NAME.fullmatch(value):
            yield where, f"not the value of a label: {value!r}"
        elif key == OS and value != "linux":
            yield where, f"images of services are for linux, not for {value}"


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(_NAME.fullmatch(name)) and (bool(_SUBDOMAIN.fullmatch(prefix)) if slash else True)
