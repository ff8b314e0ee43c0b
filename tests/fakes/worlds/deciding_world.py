"""A service with models, code and a record, to be decided on."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from nightferry.entities.approvals.people import People
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.trigger import Cause
from nightferry.steps.deciding.decide import decide
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.record import record_release

from tests.fakes.a_release import walked
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.memory.memory_source import MemorySource
from tests.fakes.model_versions import write_version
from tests.fakes.service_specs import digits_spec
from tests.fakes.still_clock import StillClock

BASE = "registry/base@sha256:" + "1" * 64
ENVIRONMENTS = ("staging", "production")


class DecidingWorld:
    """A service with one model and one commit; time stands at 02:00 in Zurich."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models, self.source, self.ledger = MemoryModels(), MemorySource(), MemoryLedger()
        self.clock = StillClock("2026-11-21T01:00:00+00:00")
        self.base, self.recipe = BASE, "2" * 64
        self.spec = digits_spec()
        self.people = People()
        self.actor = "ana"
        self.publish("one", created="2026-11-20T00:00:00Z")

    def publish(self, version: str, **changes: Any) -> None:
        """Publish a model version."""
        place = write_version(self.folder, version, {"model.onnx": b"weights of " + version.encode()}, **changes)
        self.models.publish(place, *read_manifest(place))

    def decide(
        self,
        key: str = "night:2026-11-21",
        asked: dt.datetime | None = None,
        slot: dt.datetime | None = None,
        way: str = "command",
        cause: Cause | None = None,
        **request: Any,
    ) -> Decision:
        """Decide as `actor` asks, or as a slot does."""
        return decide(
            self.spec,
            ReleaseRequest(**request),
            key=key,
            actor=self.actor,
            models=self.models,
            source=self.source,
            ledger=self.ledger,
            base_image=self.base,
            recipe=self.recipe,
            clock=self.clock,
            asked=asked,
            slot=slot,
            way=way,
            cause=cause,
            people=self.people,
        )

    def note(self, number: int) -> None:
        """Another entry on the record."""
        ledgers.append(
            self.ledger,
            self.clock,
            service="digits",
            kind=Kind.STEP,
            key=f"other {number}",
            release=None,
            actor="ana",
            reason=Reason.SUCCEEDED,
            sentence="",
        )

    def release(self, decision: Decision) -> None:
        """As when every step has succeeded."""
        walked(self.ledger, self.clock, decision)
        closing = record_release(self.ledger, self.clock, decision, ENVIRONMENTS)
        assert closing is not None
        assert closing.reason == Reason.RELEASED

    def newest(self) -> LedgerEntry:
        """The newest entry."""
        entry = ledgers.Chain(self.ledger, "digits").head
        assert entry is not None
        return entry
