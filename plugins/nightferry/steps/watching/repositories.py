"""Which repositories are looked at, and for which services: each once, however many services share it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from nightferry.entities.service_file.git_address import repository_identity
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.watching.find import COMMIT, MODEL, Event
from nightferry.masking import mask


@dataclass(frozen=True)
class Repository:
    """One repository of code or models."""

    event: Event
    identity: str
    """What all spellings of its address have in common."""
    address: str
    """One of them."""
    services: tuple[ServiceSpec, ...]
    """Those that something new in it starts a release of."""

    @property
    def note(self) -> str:
        """The name of its cursor."""
        return f"watch/{self.short}.json"

    @property
    def short(self) -> str:
        """A name that fits everywhere."""
        return hashlib.sha256(f"{self.event} {self.identity}".encode()).hexdigest()[:16]

    @property
    def system(self) -> str:
        """Which server it is on, as far as its address says."""
        scheme, _, place = self.identity.partition("://")
        return f"{scheme}://{place.partition('/')[0]}" if self.event == COMMIT else scheme

    @property
    def shown(self) -> str:
        """For people."""
        return mask(self.address)


def repositories(services: Iterable[ServiceSpec]) -> list[Repository]:
    """Every repository that some service's `triggers` name, in order of their identities.

    The stock service of the installation is in no repository: it comes with an upgrade, and the schedule releases it.
    """
    found: dict[tuple[Event, str], dict[str, list[ServiceSpec]]] = {}
    for service in services:
        for event, address in _watched(service):
            spellings = found.setdefault((event, identity_of(event, address)), {})
            spellings.setdefault(address, []).append(service)
    return [
        Repository(event, identity, min(spellings), tuple(one for some in spellings.values() for one in some))
        for (event, identity), spellings in sorted(found.items())
    ]


def identity_of(event: Event, address: str) -> str:
    """What all spellings of an address have in common."""
    if event == COMMIT:
        return repository_identity(address)
    scheme, _, place = address.partition("://")
    return f"{scheme}://{'/'.join(part for part in place.split('/') if part)}"


def _watched(service: ServiceSpec) -> Iterable[tuple[Event, str]]:
    if service.triggers.commit and service.source:
        yield COMMIT, service.source.repository
    if service.triggers.model:
        yield MODEL, service.model.repository
