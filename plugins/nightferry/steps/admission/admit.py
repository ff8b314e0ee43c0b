"""Admit a release to an environment, or write down that it waits there, or that it ends there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.barring.hold import EVERYTHING
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import WAITS, FactKey, of_environment, step_of
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.traffic import Traffic
from nightferry.entities.state.waiting import Waiting
from nightferry.steps.admission.admission import Admission, Holder, Stay
from nightferry.steps.record.drop_release import drop, drop_superseded
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain, append_with
from nightferry.steps.record.state import read_state, state_of
from nightferry.steps.rollout.read_plan import read_plan


def admit(
    decision: Decision,
    environment: str,
    spec: ServiceSpec,
    holders: Sequence[Holder],
    *,
    ledger: LedgerStore,
    clock: Clock,
) -> Stay | None:
    """Ask every holder, in order; the first that has a word keeps the release here, which is written down.

    A release that this environment's users get already, or some of them by a canary, is admitted whatever is said now.

    Args:
        decision: the release's, as `decide` returned it: `continued` where it waited before.
        environment: its name.
        spec: the service file as it is now.
        holders: what can keep it.

    Raises:
        Permanent: (result_missing, decision_outdated, request_invalid, storage_denied, ledger_…)
        Temporary: (storage_unavailable, ledger_busy)
    """
    release = str(decision.release)
    entries = release_entries(ledger, release)
    plan = read_plan(entries, environment)
    state = read_state(ledger, decision.service)
    now = state.traffic.get(environment)
    if now is not None and (now.release == release or _shared(now, release)):
        return None
    admission = Admission(
        decision=decision,
        environment=plan.environment,
        image=plan.image,
        spec=spec,
        state=state,
        entries=entries,
        now=clock.now(),
        holds=(*state.holds, *read_state(ledger, EVERYTHING).holds),
    )
    stay = next((word for word in (holder(admission) for holder in holders) if word), None)
    if stay is None:
        return None
    other = state.waiting
    if not stay.drop and other and other.release != release and other.order > plan.order:
        sentence = f"{release} was not released: {other.release} is newer and waits already."
        stay = Stay(Reason.SUPERSEDED, sentence, drop=True)
    if stay.drop:
        reason, sentence = stay.reason, stay.sentence
        drop(ledger, clock, decision, environment, reason=reason, sentence=sentence, facts=stay.facts)
    else:
        drop_superseded(ledger, clock, decision.service, by=release, order=plan.order)
        _wait(ledger, clock, decision, environment, plan.image, stay)
    return stay


def _shared(now: Traffic, release: str) -> bool:
    """Whether a share of the users gets it: to keep it there would leave them with it."""
    return now.canary is not None and now.canary.release == release and now.canary.stands


def _wait(
    ledger: LedgerStore, clock: Clock, decision: Decision, environment: str, image: str, stay: Stay
) -> LedgerEntry:
    """Write that it waits; once, however often it is asked while nothing changes."""
    release, step = str(decision.release), of_environment(environment, WAITS)

    def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
        waiting = state_of(chain).waiting
        if waiting is not None and _says(waiting, release, environment, stay):
            return chain.at(waiting.sequence)
        told = [one for one in release_entries(ledger, release) if step_of(one.key) == step]
        return {
            "kind": Kind.WAITING,
            "key": str(FactKey(release, step, attempt=len(told) + 1)),
            "release": release,
            "actor": decision.actor,
            "reason": stay.reason,
            "sentence": stay.sentence,
            "data": {"environment": environment, "until": stay.until, "image": image, "facts": dict(stay.facts)},
        }

    return append_with(ledger, clock, decision.service, make)


def _says(waiting: Waiting, release: str, environment: str, stay: Stay) -> bool:
    told = (waiting.release, waiting.environment, waiting.reason, waiting.until, waiting.sentence)
    return told == (release, environment, stay.reason, stay.until, stay.sentence)
