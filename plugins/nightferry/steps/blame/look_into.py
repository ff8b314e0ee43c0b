"""Look into a release that a gate failed for, and write down what was found: once for each failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.barring.blame import Blame
from nightferry.entities.candidate import Candidate
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.blame.combine import Side
from nightferry.steps.blame.failed_gate import FailedGate, failed_gate
from nightferry.steps.blame.find_blame import find_blame, not_found
from nightferry.steps.blame.laboratory import Bench
from nightferry.steps.blame.record_blame import record_blame, settled
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import state_of


@dataclass(frozen=True)
class Release:
    """A release that a gate failed for, and the one in use when it was decided."""

    decision: Decision
    spec: ServiceSpec
    """As it was decided."""
    failed: FailedGate
    known: tuple[LedgerEntry, ...]
    old: Decision | None = None
    old_image: str = ""
    """Its image by digest; empty where there is none."""

    @property
    def old_candidate(self) -> Candidate | None:
        """What the one in use is made of."""
        return self.old.candidate if self.old else None

    @property
    def sides(self) -> tuple[Side, Side | None]:
        """The one that failed, and the one in use."""
        old = Side(self.old.candidate, self.old.service_spec) if self.old else None
        return Side(self.decision.candidate, self.decision.service_spec), old


def release_to_blame(
    decision: Decision, spec: ServiceSpec, failures: Sequence[tuple[str, str, str]], ledger: LedgerStore
) -> Release | None:
    """What is to be looked into; None: no gate failed.

    Args:
        decision: of the release.
        spec: the service file as it is now, for a decision that pinned none.
        failures: what failed for good, in order: step, reason, sentence.
        ledger: the record.

    Raises:
        Temporary: (storage_unavailable)   Permanent: (storage_denied, ledger_broken, ledger_missing, ledger_newer)
    """
    if decision.release is None:
        return None
    chain = Chain(ledger, decision.service)
    known = release_entries(ledger, decision.release)
    spec, app = decision.service_spec or spec, decision.candidate.app
    gates = (failed_gate(*one, spec=spec, app=app, known=known) for one in failures)
    failed = next((one for one in gates if one), None)
    if failed is None:
        return None
    state = state_of(chain)
    sequence = state.compared.get(decision.in_use or "")
    image = state.images.get(decision.in_use or "", "")
    old = Decision.model_validate(chain.at(sequence).data) if sequence and image else None
    return Release(decision, spec, failed, tuple(known), old, image)


def look_into(about: Release, bench: Bench, ledger: LedgerStore, clock: Clock) -> Blame:
    """Find out whose fault it is, unless that was found out before, and write it down. Raises as `append_with`."""
    failed, began = about.failed, clock.monotonic()
    done = settled(about.known, failed.step, failed.reason, failed.sentence)
    if done:
        return done
    return _written(about, find_blame(failed, *about.sides, bench), ledger, clock, clock.monotonic() - began)


def give_up(about: Release, why: str, ledger: LedgerStore, clock: Clock) -> Blame:
    """Write down that it could not be found out. Raises as `append_with`."""
    return _written(about, not_found(about.failed, *about.sides, why), ledger, clock, 0.0)


def _written(about: Release, blame: Blame, ledger: LedgerStore, clock: Clock, seconds: float) -> Blame:
    return Blame.model_validate(record_blame(ledger, clock, about.decision, blame, seconds).data)
