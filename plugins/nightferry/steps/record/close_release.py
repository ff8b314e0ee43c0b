"""Close the record of a release: what failed, what was never begun, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.ledger_store import LedgerStore
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.record import record_failure, record_release, record_step

DECIDE = "decide"
KINDS = {"roll_out": Kind.ROLLOUT, "verify": Kind.VERIFICATION}


@dataclass(frozen=True)
class Failure:
    """Why a step failed."""

    reason: Reason
    sentence: str
    permanent: bool

    def error(self) -> NightferryError:
        """The failure as the error that it was."""
        return (Permanent if self.permanent else Temporary)(self.reason, self.sentence)


@dataclass(frozen=True)
class Ended:
    """How one step ended."""

    step: str
    begun: bool
    """False: it was not begun, because one before it failed."""
    failure: Failure | None = None
    """None: it succeeded, or was not begun."""


KILLED = Failure(
    Reason.INTERRUPTED,
    "It was stopped from outside before it was done: by a person, or with the machine that it ran on.",
    permanent=False,
)
"""The failure of a step that left none."""


def close_release(
    *, decision: Decision, spec: ServiceSpec, ended: Sequence[Ended], ledger: LedgerStore, clock: Clock
) -> LedgerEntry | None:
    """Write what the steps did not write themselves, and then how the release ended; None when there was none.

    Args:
        decision: what was decided.
        spec: the service.
        ended: every step, in order.
        ledger: where to.
        clock: for the time.

    Raises:
        Temporary: (storage_unavailable)   Permanent: (storage_denied, ledger_broken)
    """
    if decision.release is None:
        return None
    broken = next((step for step in ended if step.failure), None)
    known = release_entries(ledger, decision.release) if broken else []
    for step in ended:
        kind = KINDS.get(step.step.rpartition(".")[2], Kind.STEP)
        if step.failure:
            before = [entry for entry in known if entry.key.startswith(f"{decision.release}/{step.step}/failed")]
            if before and (before[-1].reason, before[-1].sentence) == (step.failure.reason, step.failure.sentence):
                continue  # whoever did the step wrote it already
            error = step.failure.error()
            record_failure(ledger, clock, decision, step.step, error, kind=kind, attempt=len(before) + 1)
        elif not step.begun and broken:
            record_step(
                ledger,
                clock,
                decision,
                f"{step.step}/skipped",
                sentence=f"Not begun, because {broken.step} failed.",
                data={"step": step.step},
                reason=Reason.UPSTREAM_FAILED,
                kind=kind,
            )
    return record_release(ledger, clock, decision, [environment.name for environment in spec.environments])


def close_left_open(*, spec: ServiceSpec, key: str, ledger: LedgerStore, clock: Clock) -> LedgerEntry | None:
    """Close the release that a run before this one left open, if there is one: its run was stopped from outside.

    A service has one release at a time, so whoever decides anew knows that the one before has ended. Should it be
    taken up again after all, its own end is written then.

    Args:
        spec: the service.
        key: what is about to be decided on; a decision with this key is not one before.
        ledger: where to.
        clock: for the time.

    Raises:
        Temporary: (storage_unavailable)   Permanent: (storage_denied, ledger_broken)
    """
    for entry in ledgers.Chain(ledger, spec.service):
        if entry.kind == Kind.RELEASE or entry.key == key:
            return None
        if entry.kind == Kind.DECISION and entry.release:
            left = Decision.model_validate(entry.data)
            return record_release(ledger, clock, left, [environment.name for environment in spec.environments])
    return None


def record_undecided(
    *, service: str, key: str, actor: str, failure: Failure, ledger: LedgerStore, clock: Clock
) -> LedgerEntry:
    """Write that nothing could be decided, and why: a night is never silent. Written by `decide` already, it stays so.

    Raises as `close_release`.
    """
    return ledgers.append(
        ledger,
        clock,
        service=service,
        kind=Kind.DECISION,
        key=f"{key}/failed/{failure.reason}",
        release=None,
        actor=actor,
        reason=failure.reason,
        sentence=failure.sentence,
        data={"key": key, "service": service, "go": False},
    )
