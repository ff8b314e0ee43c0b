"""The record of previews: pinned, up with its comparison, over. It is on its service's chain, beside the releases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.preview import ENDED, ENDS, PREVIEW, UP, Preview, PreviewId
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record.ledger import Chain, append, append_with, utc
from nightferry.steps.record.state import read_state, state_of

CLOCK = "clock"
"""Who ends what nobody ended."""
MADE_WITHIN = dt.timedelta(hours=12)
"""No run that makes a preview takes longer."""
Numbered = Callable[[str], Preview]
"""The preview of this name."""


def asked(ledger: LedgerStore, service: str, key: str) -> LedgerEntry | None:
    """The entry that a run pinned its preview by. Raises as `Chain`."""
    return Chain(ledger, service).find(_pinned(key))


def record_pinned(ledger: LedgerStore, clock: Clock, service: str, key: str, numbered: Numbered) -> LedgerEntry:
    """Write what was pinned under the service's next number, once for each run. Raises as `append_with`."""

    def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
        found = chain.find(_pinned(key))
        if found:
            return found
        made = numbered(str(PreviewId(service, state_of(chain).preview_number + 1)))
        model, commit = made.candidate.model.version, made.candidate.source.commit[:8]
        why = f": {made.reason}" if made.reason else "."
        return {
            "kind": Kind.PREVIEW,
            "key": _pinned(key),
            "release": None,
            "actor": made.actor,
            "reason": Reason.PREVIEWING,
            "sentence": f"{made.preview} is made for {made.hours} h of model {model} and source {commit}{why}",
            "data": made.to_json(),
        }

    return append_with(ledger, clock, service, make)


def record_not_pinned(
    ledger: LedgerStore, clock: Clock, service: str, key: str, actor: str, reason: str, sentence: str
) -> LedgerEntry:
    """Write why a run came to no preview. Raises as `append_with`."""
    return append(
        ledger,
        clock,
        service=service,
        kind=Kind.PREVIEW,
        key=f"{_pinned(key)}/failed",
        release=None,
        actor=actor,
        reason=reason,
        sentence=sentence,
    )


def record_up(ledger: LedgerStore, clock: Clock, preview: Preview, sentence: str, data: dict[str, Any]) -> LedgerEntry:
    """Write that a preview is up, once.

    Raises:
        Permanent: (preview_ended) it is over by the record: a person ended it meanwhile. And as `append_with`.
    """

    def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
        refuse_over(chain, preview.preview)
        return chain.find(f"{preview.preview}/{UP}") or _facts(
            preview.preview, UP, preview.actor, Reason.PREVIEWED, sentence, data
        )

    return append_with(ledger, clock, preview.service, make)


def record_trouble(ledger: LedgerStore, clock: Clock, preview: Preview, reason: str, sentence: str) -> LedgerEntry:
    """Write what the next try may get over; the same again is written once. Raises as `append_with`."""

    def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
        start = f"{preview.preview}/trouble"
        told = [entry for entry in preview_entries(ledger, preview.preview) if entry.key.startswith(f"{start}/")]
        if told and (told[-1].reason, told[-1].sentence) == (reason, sentence):
            return told[-1]
        return _facts(preview.preview, f"trouble/{len(told) + 1}", preview.actor, reason, sentence, {})

    return append_with(ledger, clock, preview.service, make)


def record_end(
    ledger: LedgerStore, clock: Clock, preview: str, *, actor: str, reason: str, sentence: str
) -> LedgerEntry:
    """Write that a preview is over, and why; whoever says so first counts. Raises as `append_with`."""
    service = PreviewId.parse(preview).service

    def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
        known = any(one.preview == preview for one in state_of(chain).previews)
        found = None if known else chain.find(f"{preview}/{ENDED}")
        return found or _facts(preview, ENDED, actor, reason, sentence, {ENDS: True})

    return append_with(ledger, clock, service, make)


def close_left_open(ledger: LedgerStore, clock: Clock, service: str) -> None:
    """End on the record what nobody ended there: previews whose time is over and that the cluster removed while nobody
    looked, and those whose making broke off. Raises as `append_with`."""
    now = clock.now()
    for one in read_state(ledger, service).previews:
        if one.until and one.until <= utc(now):
            said, reason = f"{one.preview} ended. Its {one.hours} h are over.", Reason.PREVIEW_ENDED
        elif not one.until and now - dt.datetime.fromisoformat(one.since) > MADE_WITHIN:
            said, reason = f"{one.preview} did not come up: its making was broken off.", Reason.INTERRUPTED
        else:
            continue
        record_end(ledger, clock, one.preview, actor=CLOCK, reason=reason, sentence=said)


def refuse_over(chain: Chain, preview: str) -> None:
    """Raise Permanent (preview_ended) where a preview is over by the record."""
    if all(one.preview != preview for one in state_of(chain).previews):
        raise Permanent(Reason.PREVIEW_ENDED, f"{preview} is over by the record; start another one.")


def preview_entries(ledger: LedgerStore, preview: str) -> list[LedgerEntry]:
    """All entries of a preview, oldest first, the one that pinned it among them.

    Raises:
        Permanent: (preview_unknown) the record has no such preview. And as `Chain`.
    """
    try:
        named = PreviewId.parse(preview)
    except ValueError as fault:
        raise Permanent(
            Reason.PREVIEW_UNKNOWN, f"{preview!r} is not the name of a preview; they look like preview-digits-3."
        ) from fault
    found: list[LedgerEntry] = []
    if named.number <= read_state(ledger, named.service).preview_number:
        for entry in Chain(ledger, named.service):
            if entry.kind == Kind.PREVIEW and entry.data.get(PREVIEW) == preview:
                found.append(entry)
                if entry.reason == Reason.PREVIEWING:
                    return found[::-1]
    raise Permanent(
        Reason.PREVIEW_UNKNOWN,
        f"The record has no preview {preview}; `nightferry preview list {named.service}` lists the ones there are.",
    )


def previews_of(ledger: LedgerStore, service: str) -> Iterator[list[LedgerEntry]]:
    """The entries of each preview of a service, the newest preview first, read as far as they are asked for. Raises as
    `Chain`."""
    found: dict[str, list[LedgerEntry]] = {}
    for entry in Chain(ledger, service):
        name = entry.data.get(PREVIEW) if entry.kind == Kind.PREVIEW else None
        if isinstance(name, str):
            found.setdefault(name, []).append(entry)
            if entry.reason == Reason.PREVIEWING:
                yield found.pop(name)[::-1]


def pinned_of(entries: list[LedgerEntry]) -> Preview:
    """What the first of a preview's entries pinned."""
    return Preview.model_validate(entries[0].data)


def _facts(preview: str, step: str, actor: str, reason: str, sentence: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": Kind.PREVIEW,
        "key": f"{preview}/{step}",
        "release": None,
        "actor": actor,
        "reason": reason,
        "sentence": sentence,
        "data": {PREVIEW: preview, **data},
    }


def _pinned(key: str) -> str:
    return f"preview:{key}"
