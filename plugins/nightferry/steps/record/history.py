"""The record as people read it: one line for each decision, one release with all its entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.state.service_state import ServiceState
from nightferry.entities.trigger import Cause, asked_by
from nightferry.errors import Permanent
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import state_of


@dataclass(frozen=True)
class HistoryLine:
    """One decision, and what came of it."""

    time: str
    """When it was decided (UTC, RFC 3339)."""
    release: str | None
    """None: nothing was to be released."""
    decided: str
    """Why it was decided so."""
    outcome: str | None
    """How the release ended: `released` or why it failed; None while it runs, or when there is none."""
    sentence: str
    actor: str
    model: str | None
    """The model's version; None when the decision failed before it was known."""
    source: str | None
    """The commit."""
    ended: str | None
    """When the release ended."""
    serves: tuple[str, ...] = ()
    """The environments whose users get this release now."""
    drifts: tuple[str, ...] = ()
    """Those of them where what runs differs from the record, as far as that was found."""
    trigger: str = ""
    """What asked: `schedule`, `person`, `commit`, `model` …; empty in decisions of before."""
    asked: str = ""
    """Who or what asked, for people."""
    cause: dict[str, Any] | None = None
    """The event that asked, where one did."""
    waits: str | None = None
    """What it waits for, where it does: `published`, `awaits_approval` …"""
    shares: dict[str, int] = field(default_factory=dict)
    """The environments where a canary gives this release a share of the users now, and how many percent."""


def history(store: LedgerStore, service: str) -> Iterator[HistoryLine]:
    """The decisions of a service, newest first, read as far as they are asked for. Raises as `LedgerStore.names`."""
    closing: dict[str, LedgerEntry] = {}
    chain = Chain(store, service)
    state = _state(chain)
    for entry in chain:
        if entry.kind == Kind.RELEASE and entry.release:
            closing.setdefault(entry.release, entry)
        elif entry.kind == Kind.DECISION:
            yield _line(entry, closing.pop(entry.release or "", None), state)
        elif entry.kind == Kind.TRIGGER and "candidate" in entry.data:  # a release that waited went on, or was not to
            yield _line(entry, closing.get(entry.release or ""), state)


def _state(chain: Chain) -> ServiceState:
    """What users get now; nothing where an entry was changed: those that are whole are shown all the same."""
    try:
        return state_of(chain)
    except Permanent as fault:
        if fault.reason != Reason.LEDGER_BROKEN:
            raise
        return ServiceState()


def release_entries(store: LedgerStore, release: str) -> list[LedgerEntry]:
    """All entries of a release, oldest first, the decision that began it among them.

    Raises:
        Permanent: (release_unknown) the record has no such release.
    """
    try:
        service = ReleaseId.parse(release).service
    except ValueError as fault:
        raise Permanent(
            Reason.RELEASE_UNKNOWN, f"{release!r} is not the name of a release; they look like digits-2026-11-21.1."
        ) from fault
    entries = []
    for entry in Chain(store, service):
        if entry.release == release:
            entries.append(entry)
            if entry.kind == Kind.DECISION:
                break
    if not entries:
        raise Permanent(
            Reason.RELEASE_UNKNOWN,
            f"The record has no release {release}; `nightferry history {service}` lists the ones there are.",
        )
    return entries[::-1]


def decision_in(entries: Sequence[LedgerEntry]) -> Decision:
    """The decision that began a release, of whose entries it is one (`release_entries`)."""
    return Decision.model_validate(next(one.data for one in entries if one.kind == Kind.DECISION))


def _line(decision: LedgerEntry, closing: LedgerEntry | None, state: ServiceState) -> HistoryLine:
    waiting = state.waiting
    candidate: dict[str, Any] = decision.data.get("candidate") or {}
    named = state.traffic.items() if decision.release else ()
    serves = tuple(name for name, now in named if now.release == decision.release)
    asked = decision.data.get("by") or decision.data  # of one that went on, not who asked for it at first
    cause = Cause.model_validate(asked["cause"]) if asked.get("cause") else None
    trigger = str(asked.get("trigger") or "")
    return HistoryLine(
        time=decision.time,
        release=decision.release,
        decided=decision.reason,
        outcome=closing.reason if closing else None,
        sentence=(closing or decision).sentence,
        actor=decision.actor,
        model=candidate.get("model", {}).get("version"),
        source=candidate.get("source", {}).get("commit"),
        ended=closing.time if closing else None,
        serves=serves,
        trigger=trigger,
        asked=asked_by(decision.actor, trigger, cause),
        cause=cause.to_json() if cause else None,
        waits=waiting.reason if waiting and decision.release and waiting.release == decision.release else None,
        shares={
            name: now.canary.share
            for name, now in named
            if now.canary and now.canary.stands and now.canary.release == decision.release
        },
        drifts=tuple(name for name in serves if state.drifts.get(name)),
    )
