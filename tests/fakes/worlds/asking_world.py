"""A release that waits for people, and what they answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nightferry.entities.approvals.approval import Answer
from nightferry.entities.approvals.people import People
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.state.service_state import ServiceState
from nightferry.steps.admission.admission import Stay
from nightferry.steps.admission.admit import admit
from nightferry.steps.admission.holders import HOLDERS
from nightferry.steps.approvals.record_answer import record_answer
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.record import record_step
from nightferry.steps.record.state import read_state

from tests.fakes.a_release import IMAGE
from tests.fakes.service_specs import digits_spec
from tests.fakes.worlds.deciding_world import DecidingWorld

PEOPLE = People.model_validate(
    {
        "groups": {"managers": ["ana", "bert", "carl", "dora"]},
        "users": {
            "ana": {"mail": ["ana@example.org"]},
            "bert": {"mail": ["bert@example.org", "B. Keller"]},
            "carl": {"mail": ["carl@example.org"]},
            "dora": {},
            "admin": {},
        },
    }
)
HOURS = 3600


class Asking:
    """Two of four have to say yes to what `ana` asks for, within an hour."""

    def __init__(self, folder: Path, **approvals: Any) -> None:
        self.world = DecidingWorld(folder)
        self.world.people = PEOPLE
        wanted = {"needed": 2, "from": ["managers"], "within": HOURS, **approvals}
        places = [
            {"name": "staging", "namespace": "staging"},
            {"name": "production", "namespace": "production", "approvals": wanted},
        ]
        self.world.spec = digits_spec(environments=places)
        self.author = "Erik <erik@example.org>"
        self.ledger, self.clock = self.world.ledger, self.world.clock

    def decide(self, key: str = "run:one", image: str = IMAGE, **request: Any) -> Decision:
        """Decide, and publish the image."""
        pinned = self.world.source.pin
        self.world.source.pin = lambda *given: pinned(*given).model_copy(  # type: ignore[method-assign]
            update={"author": self.author}
        )
        try:
            decision = self.world.decide(key, **request)
        finally:
            self.world.source.pin = pinned  # type: ignore[method-assign]
        if decision.go and not decision.image:
            record_step(
                self.ledger, self.clock, decision, "publish_image", sentence="Published.", data={"image": image}
            )
        return decision

    def admit(self, decision: Decision) -> Stay | None:
        """What `production.roll_out` asks first."""
        return admit(decision, "production", self.world.spec, HOLDERS, ledger=self.ledger, clock=self.clock)

    def waiting(self, **request: Any) -> str:
        """A release that waits for people."""
        decision = self.decide(**request)
        stay = self.admit(decision)
        assert stay is not None
        assert stay.reason == "awaits_approval", stay
        return str(decision.release)

    def answer(
        self, release: str, person: str, *, yes: bool = True, why: str = "", image: str = IMAGE, after: float = 0.0
    ) -> LedgerEntry:
        """A person answers; `after`: so many seconds from now."""
        at = (self.clock.now() + dt.timedelta(seconds=after)).isoformat()
        given = Answer(
            person=person,
            user_id=person,
            yes=yes,
            why=why,
            at=at,
            image=image,
            run="approve-x",
            task=f"answer_{person}",
        )
        return record_answer(self.ledger, self.clock, release, "production", given)

    def entries(self, release: str) -> list[LedgerEntry]:
        """Those of a release."""
        return release_entries(self.ledger, release)

    @property
    def state(self) -> ServiceState:
        """What the record says."""
        return read_state(self.ledger, "digits")

    def reasons(self, release: str, kinds: Sequence[str] = ("approval",)) -> list[str]:
        """Of the release's answers, in order."""
        return [one.reason for one in self.entries(release) if one.kind in kinds]
