"""Write what a release's steps did, and how it ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import (
    FAILED,
    RELEASE,
    RESTORED,
    ROLLBACK,
    ROLLED_BACK,
    SKIPPED,
    WITHDRAWAL,
    WITHDRAWN,
    FactKey,
    of_environment,
    step_of,
)
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.preview import PREVIEW, is_preview
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import expected_steps
from nightferry.entities.state.service_state import LAST
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.history import release_entries


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
    skipped: bool = False,
) -> LedgerEntry:
    """Write that a step succeeded, under the key `<release>/<step>`; once, however often the step runs. What is done
    for a preview is written as such: it belongs to no release.

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
        skipped: it was not begun; the key is `<release>/<step>/skipped`.
    """
    preview = is_preview(decision.release)
    named = {PREVIEW: decision.release} if preview else {}
    return ledgers.append(
        ledger,
        clock,
        service=decision.service,
        kind=Kind.PREVIEW if preview else kind,
        key=str(FactKey(str(decision.release), step, SKIPPED if skipped else "")),
        release=None if preview else decision.release,
        actor=decision.actor,
        reason=reason,
        sentence=sentence,
        data={"step": step, "seconds": round(seconds, 1), **named, **(data or {})},
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
        key=str(FactKey(str(decision.release), step, FAILED, attempt)),
        release=decision.release,
        actor=decision.actor,
        reason=error.reason,
        sentence=error.sentence,
        data={"step": step, "permanent": isinstance(error, Permanent)},
    )


def record_release(
    ledger: LedgerStore,
    clock: Clock,
    decision: Decision,
    environments: Sequence[str],
    entries: Sequence[LedgerEntry] | None = None,
) -> LedgerEntry | None:
    """Write how the release ended, as far as its entries in the ledger say; None when nothing was to be released.

    Withdrawn: with the reason of its withdrawal, whatever was before. Released: it was verified in its last
    environment. Dropped: with the reason for which it was not let into an environment. Failed: with the newest
    failure's reason. Otherwise the release was interrupted. An ending that changes later (a failed release is taken up
    again, a released one is withdrawn) is written too. `environments` counts where the decision names none; `entries`
    are the release's, where they were read already.
    """
    if decision.release is None:
        return None
    environments = decision.environments or environments
    entries = release_entries(ledger, decision.release) if entries is None else entries
    reason, sentence = _outcome(decision, environments, entries)
    closings = [entry for entry in entries if entry.kind == Kind.RELEASE]
    if closings and (closings[-1].reason, closings[-1].sentence) == (reason, sentence):
        return closings[-1]
    return ledgers.append(
        ledger,
        clock,
        service=decision.service,
        kind=Kind.RELEASE,
        key=str(FactKey(decision.release, RELEASE, attempt=len(closings) + 1 if closings else None)),
        release=decision.release,
        actor=decision.actor,
        reason=reason,
        sentence=sentence,
        data=_facts(decision, environments, entries, clock),
    )


def _outcome(decision: Decision, environments: Sequence[str], entries: Sequence[LedgerEntry]) -> tuple[str, str]:
    withdrawn = _withdrawn(decision, environments, entries)
    if withdrawn:
        return withdrawn
    done = {entry.key for entry in entries}
    steps = expected_steps(environments, image=decision.image is None)
    missing = [step for step in steps if str(FactKey(str(decision.release), step)) not in done]
    if steps[-1] not in missing:
        model, commit = decision.candidate.model.version, decision.candidate.source.commit[:8]
        return Reason.RELEASED, f"{decision.release} is in use: model {model}, source {commit}."
    dropped = [entry for entry in entries if entry.kind == Kind.WAITING and entry.data.get("dropped")]
    if dropped:
        return dropped[-1].reason, dropped[-1].sentence
    # Where a release went on, what was done before can be done anew, and fail then.
    went_on = max((entry.sequence for entry in entries if entry.reason == Reason.CONTINUED), default=None)
    again = [entry for entry in entries if went_on is not None and entry.sequence > went_on]
    failures = [entry for entry in entries if _failed(entry) and (step_of(entry.key) in missing or entry in again)]
    if failures:
        return failures[-1].reason, f"{step_of(failures[-1].key)} failed: {failures[-1].sentence}{_blamed(entries)}"
    return Reason.INTERRUPTED, f"The release ended before {missing[0]} was done; start it again."


def _blamed(entries: Sequence[LedgerEntry]) -> str:
    """Whose fault it was, as far as that was found out."""
    told = [entry.sentence for entry in entries if entry.kind == Kind.BLAME]
    return f" {told[-1]}" if told else ""


def _withdrawn(
    decision: Decision, environments: Sequence[str], entries: Sequence[LedgerEntry]
) -> tuple[str, str] | None:
    """The ending of a release that was ordered out of use somewhere: the last environment's word counts most."""
    by_key = {entry.key: entry for entry in entries}
    for where in sorted(environments, key=lambda name: name != LAST):
        order = by_key.get(str(FactKey(str(decision.release), of_environment(where, WITHDRAWAL))))
        back = by_key.get(str(FactKey(str(decision.release), of_environment(where, WITHDRAWN))))
        if order and back:
            return order.reason, f"{order.sentence} {back.sentence}{_blamed(entries)}"
        if order:
            return order.reason, f"{order.sentence} That is not done yet."
    return _rolled_back(entries)


def _rolled_back(entries: Sequence[LedgerEntry]) -> tuple[str, str] | None:
    """The ending of a release that a person sent the users of the last environment away from, and not back to."""
    order, done = "", True
    for entry in entries:
        step = step_of(entry.key)
        if step == of_environment(LAST, RESTORED):
            order = ""
        elif step == of_environment(LAST, ROLLBACK):
            order, done = entry.sentence, False
        elif step == of_environment(LAST, ROLLED_BACK):
            done = True
    if not order:
        return None
    return Reason.ROLLED_BACK, order if done else f"{order} That is not done yet."


def _failed(entry: LedgerEntry) -> bool:
    key = FactKey.parse(entry.key)
    return key is not None and key.outcome == FAILED


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
        "seconds": {step_of(entry.key): entry.data["seconds"] for entry in entries if "seconds" in entry.data},
        "total_seconds": round((clock.now() - began).total_seconds()),
    }
