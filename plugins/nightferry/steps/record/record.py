"""Write what a release's steps did, and how it ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.ledger_store import LedgerStore
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.history import release_entries

STEPS = ("test_source", "fetch_model", "check_model", "build_image", "test_image", "publish_image")
"""What comes before the environments. The first goes on beside the next four."""


def expected_steps(environments: Sequence[str]) -> tuple[str, ...]:
    """All steps of a release through these environments, in order."""
    return (*STEPS, *(f"{name}.{step}" for name in environments for step in ("roll_out", "verify")))


def record_step(
    ledger: LedgerStore,
    clock: Clock,
    decision: Decision,
    step: str,
    *,
    sentence: str,
    seconds: float = 0.0,
    data: dict[str, Any] | None = None,
    reason: Reason = Reason.SUCCEEDED,
    kind: Kind = Kind.STEP,
) -> LedgerEntry:
    """Write that a step succeeded, under the key `<release>/<step>`; once, however often the step runs.

    Args:
        ledger: where to.
        clock: for the entry's time.
        decision: what is being released.
        step: the step's name, e.g. `build_image` or `staging.roll_out`.
        sentence: what it found, for people.
        seconds: how long it took.
        data: facts for programs.
        reason: the reason code.
        kind: the entry's kind.
    """
    return ledgers.append(
        ledger,
        clock,
        service=decision.service,
        kind=kind,
        key=f"{decision.release}/{step}",
        release=decision.release,
        actor=decision.actor,
        reason=reason,
        sentence=sentence,
        data={"step": step, "seconds": round(seconds, 1), **(data or {})},
    )


def record_failure(
    ledger: LedgerStore,
    clock: Clock,
    decision: Decision,
    step: str,
    error: NightferryError,
    *,
    kind: Kind = Kind.STEP,
    attempt: int | None = None,
) -> LedgerEntry:
    """Write that a step failed, under `<release>/<step>/failed` or, with `attempt`, `…/failed/<attempt>`."""
    return ledgers.append(
        ledger,
        clock,
        service=decision.service,
        kind=kind,
        key=f"{decision.release}/{step}/failed" + (f"/{attempt}" if attempt else ""),
        release=decision.release,
        actor=decision.actor,
        reason=error.reason,
        sentence=error.sentence,
        data={"step": step, "permanent": isinstance(error, Permanent)},
    )


def record_release(
    ledger: LedgerStore, clock: Clock, decision: Decision, environments: Sequence[str]
) -> LedgerEntry | None:
    """Write how the release ended, as far as its entries in the ledger say; None when nothing was to be released.

    Released: every step of every environment succeeded. Failed: with the newest failure's reason. Otherwise the
    release was interrupted. When a failed release is taken up again and ends differently, that is written too.
    """
    if decision.release is None:
        return None
    entries = release_entries(ledger, decision.release)
    reason, sentence = _outcome(decision, environments, entries)
    closings = [entry for entry in entries if entry.kind == Kind.RELEASE]
    if closings and closings[-1].reason == reason:
        return closings[-1]
    return ledgers.append(
        ledger,
        clock,
        service=decision.service,
        kind=Kind.RELEASE,
        key=f"{decision.release}/release" + (f"/{len(closings) + 1}" if closings else ""),
        release=decision.release,
        actor=decision.actor,
        reason=reason,
        sentence=sentence,
        data=_facts(decision, environments, entries, clock),
    )


def _outcome(decision: Decision, environments: Sequence[str], entries: Sequence[LedgerEntry]) -> tuple[str, str]:
    done = {entry.key for entry in entries}
    missing = [step for step in expected_steps(environments) if f"{decision.release}/{step}" not in done]
    if not missing:
        model, commit = decision.candidate.model.version, decision.candidate.source.commit[:8]
        return Reason.RELEASED, f"{decision.release} is in use: model {model}, source {commit}."
    failures = [entry for entry in entries if "/failed" in entry.key and _step(entry) in missing]
    if failures:
        return failures[-1].reason, f"{_step(failures[-1])} failed: {failures[-1].sentence}"
    return Reason.INTERRUPTED, f"The release ended before {missing[0]} was done; start it again."


def _facts(
    decision: Decision, environments: Sequence[str], entries: Sequence[LedgerEntry], clock: Clock
) -> dict[str, Any]:
    began = dt.datetime.fromisoformat(entries[0].time)
    images = [entry.data["image"] for entry in entries if "image" in entry.data]
    return {
        "image": images[-1] if images else None,
        "candidate": decision.candidate.to_json(),
        "inputs_digest": decision.candidate.inputs_digest,
        "environments": list(environments),
        "seconds": {_step(entry): entry.data["seconds"] for entry in entries if "seconds" in entry.data},
        "total_seconds": round((clock.now() - began).total_seconds()),
    }


def _step(entry: LedgerEntry) -> str:
    """`build_image` of the keys `<release>/build_image` and `<release>/build_image/failed/2`."""
    return entry.key.split("/")[1]
