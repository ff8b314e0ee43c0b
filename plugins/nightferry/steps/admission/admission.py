"""What is asked before a release enters an environment, and what keeps it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nightferry.entities.barring.hold import Hold
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Environment, ServiceSpec
from nightferry.entities.state.service_state import ServiceState


@dataclass(frozen=True)
class Admission:
    """A release before an environment."""

    decision: Decision
    environment: Environment
    """As it was decided."""
    image: str
    """`repo@sha256:…`"""
    spec: ServiceSpec
    """The service file as it is now."""
    state: ServiceState
    """What the record says."""
    entries: Sequence[LedgerEntry]
    """All of the release, oldest first."""
    now: dt.datetime
    holds: tuple[Hold, ...] = ()
    """Those of the service and those of everything; the time of some may be over."""

    @property
    def release(self) -> str:
        """Its name."""
        return str(self.decision.release)

    @property
    def taken_up(self) -> bool:
        """Whether it had ended, and is taken up again: somebody cleared a task that failed. That is asked for now."""
        ended = False
        for entry in self.entries:
            if entry.kind == Kind.RELEASE:
                ended = True
            elif entry.kind == Kind.DECISION or entry.reason == Reason.CONTINUED:
                ended = False
        return ended


@dataclass(frozen=True)
class Stay:
    """Why it does not enter now."""

    reason: str
    sentence: str
    until: str | None = None
    """When that ends by itself (UTC, RFC 3339); None: it does not."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For programs, on the record."""
    drop: bool = False
    """It does not wait: the release ends here, with this reason."""


Holder = Callable[[Admission], Stay | None]
