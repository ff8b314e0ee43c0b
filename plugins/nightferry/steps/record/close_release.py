"""Close the record of a release: what failed, what was never begun, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.decision import Decision, trigger_of
from nightferry.entities.fact_key import WITHDRAWN, FactKey, of_environment, step_of
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import IMAGE_STEPS, VERIFY
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import LAST
from nightferry.entities.state.waiting import waits
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.drop_release import drop_passed_over
from nightferry.steps.record.history import decision_in, release_entries
from nightferry.steps.record.record import record_failure, record_release, record_step
from nightferry.steps.record.state import decision_of, state_of

DECIDE = "decide"
KINDS = {"roll_out": Kind.ROLLOUT, "verify": Kind.VERIFICATION}


@dataclass(frozen=True)
class Failure:
    """Why a step failed."""

    reason: str
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
BY_HAND = Failure(
    Reason.RESULT_MISSING,
    "decide was marked as done in Airflow, but left no decision. Clear it there and let it run.",
    permanent=True,
)
"""The failure of a decision that nobody made."""


def close_release(
    *, decision: Decision, spec: ServiceSpec, ended: Sequence[Ended], ledger: LedgerStore, clock: Clock
) -> LedgerEntry | None:
    """Write what the steps did not write themselves, and then how the release ended; None when there was none, or when
    it waits before an environment.

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
    known = release_entries(ledger, decision.release)
    if waits(known):
        return None
    ended = [_by_hand(step, known, decision) for step in ended]
    broken = next((step for step in ended if step.failure), None)
    for step in ended:
        kind = KINDS.get(step.step.rpartition(".")[2], Kind.STEP)
        if step.failure and not any(_says(entry, step) for entry in known):
            before = [entry for entry in known if entry.key.startswith(f"{decision.release}/{step.step}/failed")]
            error = step.failure.error()
            written = record_failure(ledger, clock, decision, step.step, error, kind=kind, attempt=len(before) + 1)
            known.append(written)
        elif not step.begun and broken and not _tells(known, step.step):
            record_step(
                ledger,
                clock,
                decision,
                step.step,
                sentence=f"Not begun, because {broken.step} failed.",
                data={"step": step.step},
                reason=Reason.UPSTREAM_FAILED,
                kind=kind,
                skipped=True,
            )
    closing = record_release(ledger, clock, decision, [environment.name for environment in spec.environments], known)
    drop_passed_over(ledger, clock, decision.service)
    return closing


def _by_hand(step: Ended, known: Sequence[LedgerEntry], decision: Decision) -> Ended:
    """A step that Airflow calls done and that left nothing on the record was marked so by hand."""
    image_step = step.step in IMAGE_STEPS and decision.image is not None
    if not step.begun or step.failure or image_step or _tells(known, step.step):
        return step
    sentence = (
        f"{step.step} was marked as done in Airflow, but left no result on the record. Clear it there and let it run."
    )
    return Ended(step.step, begun=True, failure=Failure(Reason.RESULT_MISSING, sentence, permanent=True))


def _tells(known: Sequence[LedgerEntry], step: str) -> bool:
    """Whether the record has anything about a step."""
    return any(step_of(entry.key) == step for entry in known)


def _says(entry: LedgerEntry, step: Ended) -> bool:
    """Whether an entry tells of the step's failure already: whoever did the step wrote it, under the step's own name or
    another's of the same environment (the pod that rolls out verifies as well)."""
    theirs, failure = step_of(entry.key), step.failure
    same_environment = "." in theirs and theirs.partition(".")[0] == step.step.partition(".")[0]
    if failure is None or not (theirs == step.step or same_environment):
        return False
    return (entry.reason, entry.sentence) == (failure.reason, failure.sentence)


def close_again(ledger: LedgerStore, clock: Clock, release: str) -> None:
    """Write how a release ended, where that has changed since it ended, or is known although nobody closed it: it was
    verified in its last environment, or taken out of use there. A release under way is left to its run.

    Raises as `close_release`.
    """
    entries = release_entries(ledger, release)
    decision = decision_in(entries)
    last = (of_environment(LAST, step) for step in (VERIFY, WITHDRAWN))
    done = {str(FactKey(release, step)) for step in last}
    if any(entry.kind == Kind.RELEASE or entry.key in done for entry in entries):
        record_release(ledger, clock, decision, decision.environments, entries)


def close_left_open(*, spec: ServiceSpec, key: str, ledger: LedgerStore, clock: Clock) -> LedgerEntry | None:
    """Close the release that a run before this one left open, if there is one: its run was stopped from outside.

    A service has one run at a time, so whoever decides anew knows that the one before has ended. Should it be taken up
    again after all, its own end is written then. A release that waits is not left open, unless users get what was
    ordered after it.

    Args:
        spec: the service.
        key: what is about to be decided on; a decision with this key is not one before.
        ledger: where to.
        clock: for the time.

    Raises:
        Temporary: (storage_unavailable)   Permanent: (storage_denied, ledger_broken)
    """
    drop_passed_over(ledger, clock, spec.service)
    chain = ledgers.Chain(ledger, spec.service)
    state = state_of(chain)
    left = decision_of(chain, state, state.open)
    if left is None or left.key == key or (state.waiting and state.waiting.release == left.release):
        return None
    if chain.find(key, ledgers.of_release(str(left.release))):
        return None  # it goes on by this very key
    return record_release(ledger, clock, left, [environment.name for environment in spec.environments])


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
        data={"key": key, "service": service, "go": False, "trigger": trigger_of(key)},
    )
