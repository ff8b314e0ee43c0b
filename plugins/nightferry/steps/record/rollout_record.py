"""Write what the deployer did into the ledger."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import islice, takewhile
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.fact_key import FAILED, WITHDRAWAL, WITHDRAWN, FactKey, of_environment
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.rollback_record import bars_between
from nightferry.steps.record.state import read_state

ROLL_OUT = ("roll_out", Kind.ROLLOUT, Reason.ROLLED_OUT)
VERIFY = ("verify", Kind.VERIFICATION, Reason.VERIFIED)
WITHDRAW = (WITHDRAWN, Kind.WITHDRAWAL, Reason.WITHDRAWN)
WRONG = {
    Reason.VERIFY_GOLDEN_WRONG,
    Reason.IMAGE_CONTRACT_BROKEN,
    Reason.FIGURES_WRONG,
    Reason.ROLLOUT_NOT_READY,  # of a release that has users: its pods crash
}
"""What bars a release's parts from the next ones. What is unreachable, full or refused says nothing about them."""
Task = tuple[str, Kind, Reason]
log = logging.getLogger(__name__)


def record_success(
    ledger: LedgerStore, clock: Clock, plan: RolloutPlan, task: Task, sentence: str, data: dict[str, Any]
) -> LedgerEntry:
    """Write that the task succeeded, once, under `<release>/<environment>.<task>`."""
    step, kind, reason = task
    return _append(ledger, clock, plan, kind, FactKey(plan.release, _name(plan, step)), reason, sentence, data)


def record_seen(ledger: LedgerStore, clock: Clock, plan: RolloutPlan, previous: str) -> None:
    """Write that users are sent to the release, where the record does not say so: whoever switched was killed."""
    traffic = read_state(ledger, plan.service).traffic.get(plan.environment.name)
    if traffic is not None and traffic.release == plan.release:
        return
    sentence = f"{plan.environment.name} serves {plan.release}; that was written later, from what the cluster says."
    record_success(ledger, clock, plan, ROLL_OUT, sentence, {"release": plan.release, "previous": previous})


def record_order(
    ledger: LedgerStore,
    clock: Clock,
    plan: RolloutPlan,
    why: NightferryError,
    back: str = "",
    met: Mapping[str, Any] | None = None,
) -> LedgerEntry:
    """Write the order to take the release out of use, once, before any traffic is moved: it is the fence.

    Wrong answers and figures, and crashes, bar what the release has and `back`, the one before, has not. `met` says how
    many of the users met the release.
    """
    where = plan.environment.name
    bars = bars_between(Chain(ledger, plan.service), plan.release, back) if why.reason in WRONG else []
    barred = f" Barred from release: {', '.join(bar.words for bar in bars)}." if bars else ""
    sentence = f"{plan.release} is to be taken out of use in {where}: {why.sentence}{barred}"
    key = FactKey(plan.release, _name(plan, WITHDRAWAL))
    data = ({"bars": [bar.to_json() for bar in bars]} if bars else {}) | dict(met or {})
    return _append(ledger, clock, plan, Kind.WITHDRAWAL, key, why.reason, sentence, data)


def record_trouble(
    ledger: LedgerStore, clock: Clock, plan: RolloutPlan, task: Task, fault: NightferryError, data: dict[str, Any]
) -> None:
    """Write that an attempt failed, under `<release>/<environment>.<task>/failed/<n>`.

    A ledger that cannot be written to must not hide what went wrong: that is then only said.
    """
    step, kind, _ = task
    data = {"permanent": isinstance(fault, Permanent), **data}
    try:
        key = FactKey(plan.release, _name(plan, step), FAILED, _failures(ledger, plan, _name(plan, step)) + 1)
        _append(ledger, clock, plan, kind, key, fault.reason, fault.sentence, data)
    except NightferryError as silent:
        log.warning("The ledger does not have this failure: %s", silent.sentence)


def _name(plan: RolloutPlan, step: str) -> str:
    return of_environment(plan.environment.name, step)


def _failures(ledger: LedgerStore, plan: RolloutPlan, step: str) -> int:
    """How many failures of this step the release has already."""
    began = ledgers.of_release(plan.release)
    entries = islice(ledgers.Chain(ledger, plan.service), ledgers.KEY_BOUND)
    keys = (FactKey.parse(entry.key) for entry in takewhile(lambda entry: not began(entry), entries))
    return sum(key is not None and (key.release, key.step, key.outcome) == (plan.release, step, FAILED) for key in keys)


def _append(
    ledger: LedgerStore,
    clock: Clock,
    plan: RolloutPlan,
    kind: Kind,
    key: FactKey,
    reason: str,
    sentence: str,
    data: dict[str, Any],
) -> LedgerEntry:
    facts = {"step": key.step, "environment": plan.environment.name, "namespace": plan.environment.namespace}
    return ledgers.append(
        ledger,
        clock,
        service=plan.service,
        kind=kind,
        key=str(key),
        release=plan.release,
        actor=plan.actor,
        reason=reason,
        sentence=sentence,
        data={**facts, "image": plan.image, **data},
    )
