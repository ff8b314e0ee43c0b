"""Prune: remove the images of a service that nothing needs. What is needed is looked at again before each removal."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.image_registry import ImageRegistry
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.stored_image import freed_by
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.image.keep import Judged, Sight, judge
from nightferry.steps.image.look import Tell
from nightferry.steps.image.on_record import ImagesOnRecord
from nightferry.steps.record import ledger as ledgers

NOT_REACHED = "the removal was broken off before it"


@dataclass(frozen=True)
class Rule:
    """What is kept by number and by age."""

    keep: int
    older_than: dt.timedelta


@dataclass
class Pruned:
    """What became of the images that could go."""

    removed: list[Judged] = field(default_factory=list)
    """Gone, by us or by somebody else at the same moment."""
    stayed: dict[ImageRef, str] = field(default_factory=dict)
    """Those that stayed after all, and why."""
    refused: list[Permanent] = field(default_factory=list)
    """What the registry said where it did not delete."""


def prune(
    judged: Sequence[Judged],
    rule: Rule,
    *,
    registry: ImageRegistry,
    look: Callable[[], Sight],
    ledger: LedgerStore,
    clock: Clock,
    service: str,
    actor: str,
    tell: Tell = lambda _: None,
) -> Pruned:
    """Remove every image that is judged to be needed by nothing, and still is when its turn comes.

    The record is told first, so that nothing is ever gone without a word; what then stayed, it is told afterwards.
    Killed anywhere and run again, it removes what is left, and each image is announced once.

    Args:
        judged: all of the service's images, of one look.
        rule: by which they were judged.
        registry: where they are.
        look: looks at record and clusters again. Its errors end the pruning.
        ledger: the record.
        clock: for the time.
        service: whose images.
        actor: who asked.
        tell: is told how far it is.

    Raises:
        Permanent: (registry_denied, and as `look`)   Temporary: (registry_unavailable, and as `look`)
    """
    going = [one for one in judged if not one.why]
    done = Pruned(stayed={one.image: NOT_REACHED for one in going})
    if not going:
        return done
    announce(going, judged, rule, ledger=ledger, clock=clock, service=service, actor=actor)
    try:
        for number, one in enumerate(going, start=1):
            tell(f"{service}: removed {number - 1} of {len(going)} images")
            _remove(one, judged, rule, done, registry, look, clock)
    finally:
        if done.stayed:
            # A record that is silent now is told by the next run, which removes them or finds them needed.
            with suppress(NightferryError):
                _note_stayed(done, ledger=ledger, clock=clock, service=service, actor=actor)
    return done


def room(judged: Sequence[Judged]) -> int:
    """Bytes that become free at most: layers that images of other services have stay."""
    return freed_by(
        [one.found.stored for one in judged if not one.why], [one.found.stored for one in judged if one.why]
    )


def announce(
    going: Sequence[Judged],
    judged: Sequence[Judged],
    rule: Rule,
    *,
    ledger: LedgerStore,
    clock: Clock,
    service: str,
    actor: str,
) -> LedgerEntry | None:
    """Write on the record what is about to be removed, but for what it says already. Raises as `append_with`."""
    record = ImagesOnRecord()

    def make(chain: ledgers.Chain) -> dict[str, Any] | LedgerEntry:
        record.catch_up(chain)
        new = [one for one in going if str(one.image) not in record.announced]
        if not new and chain.head:
            return chain.head
        freed = room(judged)
        return {
            "kind": Kind.IMAGES,
            "key": f"images:{_key(new, record.decisions)}",
            "release": None,
            "actor": actor,
            "reason": Reason.PRUNED,
            "sentence": f"{_count(new)} of {service} that nothing needs are removed from the registry; "
            f"they hold at most {freed / 1e6:.1f} MB that no other image of it has.",
            "data": {
                "images": [_facts(one) for one in new],
                "bytes": freed,
                "keep": rule.keep,
                "older_than_seconds": int(rule.older_than.total_seconds()),
            },
        }

    return ledgers.append_with(ledger, clock, service, make)


def _remove(
    one: Judged,
    judged: Sequence[Judged],
    rule: Rule,
    done: Pruned,
    registry: ImageRegistry,
    look: Callable[[], Sight],
    clock: Clock,
) -> None:
    sight = look()
    now = clock.now()
    near = [other.found for other in judged if other is one or one.image.digest in other.found.stored.parts]
    again = judge(near, sight, keep=rule.keep, older_than=rule.older_than, now=now)
    why = next(other.why for other in again if other.image == one.image)
    if why:
        done.stayed[one.image] = why[0]
        return
    try:
        registry.delete(one.image)
        for part in _parts_alone(one, judged):
            registry.delete(part)
    except Permanent as fault:
        if fault.reason != Reason.REGISTRY_DELETE_DENIED:
            raise
        done.stayed[one.image] = fault.sentence
        done.refused.append(fault)
        return
    del done.stayed[one.image]
    done.removed.append(one)


def _parts_alone(one: Judged, judged: Sequence[Judged]) -> list[ImageRef]:
    """The images that an index names and that have neither a tag of their own nor another index."""
    here = one.image.repository
    others = [other for other in judged if other is not one and other.image.repository == here]
    needed = {digest for other in others for digest in (other.image.digest, *other.found.stored.parts)}
    return [ImageRef(here, part) for part in one.found.stored.parts if part not in needed]


def _note_stayed(done: Pruned, *, ledger: LedgerStore, clock: Clock, service: str, actor: str) -> None:
    named = sorted(str(image) for image in done.stayed)
    head = ledgers.Chain(ledger, service).head
    ledgers.append(
        ledger,
        clock,
        service=service,
        kind=Kind.IMAGES,
        key=f"images:{_digest(named)}@{head.sequence if head else 0}/stayed",
        release=None,
        actor=actor,
        reason=Reason.NOT_PRUNED,
        sentence=f"{len(named)} of the images of {service} that were to be removed stayed: "
        f"{'; '.join(sorted(set(done.stayed.values())))[:500]}",
        data={"images": [{"image": str(image), "why": why} for image, why in sorted(done.stayed.items(), key=str)]},
    )


def _facts(one: Judged) -> dict[str, Any]:
    facts = {"image": str(one.image), "tags": list(one.found.tags), "bytes": one.found.stored.size}
    return facts | {"release": one.release}


def _key(going: Sequence[Judged], decisions: int) -> str:
    """The same for the same images, until something is decided: then they may have been made anew."""
    return f"{_digest(sorted(str(one.image) for one in going))}@{decisions}"


def _digest(named: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(named).encode()).hexdigest()[:16]


def _count(going: Sequence[Judged]) -> str:
    candidates = sum(1 for one in going if one.release is None)
    return f"{len(going)} image{'' if len(going) == 1 else 's'} ({candidates} without a release)"
