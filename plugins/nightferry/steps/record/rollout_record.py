"""Write what the deployer did into the ledger."""

from __future__ import annotations

import logging
from itertools import islice, takewhile
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.record import ledger as ledgers

ROLL_OUT = ("roll_out", Kind.ROLLOUT, Reason.ROLLED_OUT)
VERIFY = ("verify", Kind.VERIFICATION, Reason.VERIFIED)
Task = tuple[str, Kind, Reason]
log = logging.getLogger(__name__)


def record_success(
    ledger: LedgerStore, clock: Clock, plan: RolloutPlan, task: Task, sentence: str, data: dict[str, Any]
) -> LedgerEntry:
    """Write that the task succeeded, once, under `<release>/<environment>.<task>`."""
    step, kind, reason = task
    name = f"{plan.environment.name}.{step}"
    return _append(ledger, clock, plan, kind, name, name, reason, sentence, data)


def record_trouble(
    ledger: LedgerStore, clock: Clock, plan: RolloutPlan, task: Task, fault: NightferryError, data: dict[str, Any]
) -> None:
    """Write that an attempt failed, under `<release>/<environment>.<task>/failed/<n>`.

    A ledger that cannot be written to must not hide what went wrong: that is then only said.
    """
    step, kind, _ = task
    name = f"{plan.environment.name}.{step}"
    data = {"permanent": isinstance(fault, Permanent), **data}
    try:
        before = _failures(ledger, plan, f"{plan.release}/{name}/failed/")
        _append(ledger, clock, plan, kind, f"{name}/failed/{before + 1}", name, fault.reason, fault.sentence, data)
    except NightferryError as silent:
        log.warning("The ledger does not have this failure: %s", silent.sentence)


def _failures(ledger: LedgerStore, plan: RolloutPlan, prefix: str) -> int:
    """How many failures under this prefix the release has already."""
    began = ledgers.of_release(plan.release)
    entries = islice(ledgers.Chain(ledger, plan.service), ledgers.KEY_BOUND)
    return sum(entry.key.startswith(prefix) for entry in takewhile(lambda entry: not began(entry), entries))


def _append(
    ledger: LedgerStore,
    clock: Clock,
    plan: RolloutPlan,
    kind: Kind,
    key: str,
    step: str,
    reason: str,
    sentence: str,
    data: dict[str, Any],
) -> LedgerEntry:
    facts = {"step": step, "environment": plan.environment.name, "namespace": plan.environment.namespace}
    return ledgers.append(
        ledger,
        clock,
        service=plan.service,
        kind=kind,
        key=f"{plan.release}/{key}",
        release=plan.release,
        actor=plan.actor,
        reason=reason,
        sentence=sentence,
        data={**facts, "image": plan.image, **data},
    )
