"""What a rule is asked, and what it answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from nightferry.entities.barring.hold import Hold
from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.candidate import Candidate
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import ServiceState


@dataclass(frozen=True)
class Question:
    """Everything that a decision depends on."""

    spec: ServiceSpec
    """The service file as it is now, its settings filled in."""
    request: ReleaseRequest
    candidate: Candidate
    """The newest, or what was asked for."""
    state: ServiceState
    """What the record says."""
    before: Decision | None
    """The decision that describes the release in use; None when nothing is in use."""
    image: str | None
    """The image of the release in use, where the record has it."""
    last: Decision | None
    """The newest decision of all."""
    now: dt.datetime
    slot: dt.datetime | None
    """The moment of the schedule that asks; None where a person does."""
    holds: tuple[Hold, ...] = ()
    """Those of the service and those of everything; the time of some may be over."""
    calendar: Calendar | None = None
    """The service's, as it is now."""
    passed_over: tuple[str, ...] = ()
    """Sentences about what is newest and barred, and was not pinned for that."""
    waits: Decision | None = None
    """The decision of the release that waits; None: none does."""
    last_end: LedgerEntry | None = None
    """What ended last: a release, or a decision not to release."""

    @property
    def in_use(self) -> str:
        """The release in use, for sentences."""
        return self.state.in_use or "nothing"


@dataclass(frozen=True)
class Word:
    """What a rule says: release or not, why, and with which image where none is built."""

    go: bool
    reason: str
    sentence: str
    image: str | None = None
    continues: bool = False
    """The release that waits goes on, with that image; no new one is made."""


Rule = Callable[[Question], Word | None]
