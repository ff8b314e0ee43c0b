"""What the record says about a service: one pure function over its entries, from the first to the newest.

`decide`, the command line, the deployer and the retiring of releases read this, and nothing else, so that they agree.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from nightferry.entities.approvals.approval import Approval
from nightferry.entities.barring.hold import Hold, held_after
from nightferry.entities.barring.quarantine import Choice, Quarantine, barred_by, bars_of
from nightferry.entities.fact_key import RESTORED, ROLLBACK, WITHDRAWAL, WITHDRAWN, FactKey, of_environment
from nightferry.entities.frozen import Recorded
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.state.approvals import answered_after, declined_by
from nightferry.entities.state.canary import canary_after
from nightferry.entities.state.drift import OpenDrift, drifts_after, forget_drifts
from nightferry.entities.state.exception import FreezeException, excepted_after
from nightferry.entities.state.preview import OpenPreview, number_in, previews_after
from nightferry.entities.state.rehearsal import Rehearsal, rehearsed_by
from nightferry.entities.state.traffic import Traffic
from nightferry.entities.state.waiting import Waiting, waiting_after

FOLD = 8
"""Which way of folding made a state; one that was kept by another way is made anew."""
LAST = "production"
"""The environment that `released` speaks of: every service's last one."""
_KEPT = 12
"""How many releases a state knows the decisions of: those that users get, and the newest."""
KEPT_GOOD = 5
"""How many releases that were verified in the last environment are remembered as ones to go back to."""
_DAYS = 4
"""For how many dates the numbers of releases are kept; two zones' dates are at most two days apart."""


class ServiceState(Recorded):
    """The fold's result. `after` gives the next one; a state never changes."""

    fold: int = FOLD
    sequence: int = 0
    """The newest entry that it knows; 0 before the first."""
    digest: str = ""
    """That entry's digest."""
    traffic: dict[str, Traffic] = Field(default_factory=dict)
    """By environment."""
    open: str | None = None
    """The release that was decided and has not ended."""
    decided: dict[str, int] = Field(default_factory=dict)
    """Release -> the sequence of the decision that it was made by, oldest first."""
    compared: dict[str, int] = Field(default_factory=dict)
    """Release -> the sequence of the newest decision that describes it: its own, or one that found nothing changed."""
    images: dict[str, str] = Field(default_factory=dict)
    """Release -> its image, of those in `decided` that were rolled out."""
    numbers: dict[str, int] = Field(default_factory=dict)
    """Local date -> number of its last release."""
    ended: int = 0
    """The sequence of the newest entry that ended a run: a release's ending, or a decision not to release."""
    last_decision: int = 0
    """The sequence of the newest decision that was made, whatever it was."""

    good: tuple[str, ...] = ()
    """The last releases that were verified in the last environment, oldest first, each once."""
    quarantines: tuple[Quarantine, ...] = ()
    """What is barred from release, oldest first."""
    choices: dict[str, Choice] = Field(default_factory=dict)
    """Release -> what its decision bars and lifts once users get it: somebody asked for something by its name."""
    holds: tuple[Hold, ...] = ()
    """Those that no person ended, oldest first; whether one's time is over depends on when it is asked."""
    exceptions: tuple[FreezeException, ...] = ()
    """From the calendar, asked for or confirmed; whether one's time is over depends on when it is asked."""
    drifts: dict[str, tuple[OpenDrift, ...]] = Field(default_factory=dict)
    """By environment, the differences between what runs and the record that were found and are not gone, oldest
    first."""
    rehearsal: Rehearsal | None = None
    """The newest look at whether the good releases would start and answer."""
    waiting: Waiting | None = None
    """The newest release that waits before an environment; one that is superseded stands here until it is closed."""
    approvals: tuple[Approval, ...] = ()
    """What people answered about the newest release that they were asked about, oldest first."""
    previews: tuple[OpenPreview, ...] = ()
    """Those that are not over by the record, oldest first."""
    preview_number: int = 0
    """The number of the last preview."""

    @property
    def in_use(self) -> str | None:
        """The release that the users of the last environment get, verified, and not being taken back."""
        last = self.traffic.get(LAST)
        return last.release if last and last.verified and last.withdrawing is None else None

    @property
    def superseded(self) -> bool:
        """Whether users of the last environment get something that was ordered after what waits."""
        last = self.traffic.get(LAST)
        return self.waiting is not None and last is not None and last.order > self.waiting.order

    def after(self, entry: LedgerEntry) -> ServiceState:
        """The state with one entry more."""
        changed: dict[str, Any] = {"sequence": entry.sequence, "digest": entry.digest}
        if entry.kind == Kind.DECISION:
            changed |= self._decided(entry)
        elif entry.kind == Kind.RELEASE:
            changed |= {"open": None if self.open == entry.release else self.open, "ended": entry.sequence}
        if entry.reason == Reason.ROLLED_OUT and entry.release in self.decided and entry.data.get("image"):
            changed["images"] = {**self.images, entry.release: str(entry.data["image"])}
        changed |= self._told(entry)
        changed |= self._waits(entry)
        changed |= self._barred(entry)
        moved = self._moved(entry)
        if moved:
            changed["traffic"] = {**self.traffic, **moved}
            left = [name for name, now in moved.items() if now.release != self.traffic.get(name, Traffic()).release]
            changed["drifts"] = forget_drifts(self.drifts, left)
        elif entry.kind == Kind.DRIFT:
            changed["drifts"] = drifts_after(self.drifts, entry)
        return self.model_copy(update=changed)

    def _told(self, entry: LedgerEntry) -> dict[str, Any]:
        """What an entry of a kind that concerns one thing alone says of it."""
        match entry.kind:
            case Kind.HOLD:
                return {"holds": held_after(self.holds, entry)}
            case Kind.EXCEPTION:
                return {"exceptions": excepted_after(self.exceptions, entry)}
            case Kind.APPROVAL:
                return {"approvals": answered_after(self.approvals, entry)}
            case Kind.REHEARSAL:
                return {"rehearsal": rehearsed_by(entry)}
            case Kind.PREVIEW:
                number = max(number_in(entry), self.preview_number)
                return {"previews": previews_after(self.previews, entry), "preview_number": number}
        return {}

    def _waits(self, entry: LedgerEntry) -> dict[str, Any]:
        """What an entry says of a release that waits; a run that ended so is one that ended."""
        waiting = waiting_after(self.waiting, entry, self.decided.get(entry.release or "", 0))
        if waiting == self.waiting:
            return {}
        more = {"open": entry.release} if entry.reason == Reason.CONTINUED else {}
        return {"waiting": waiting} | more | ({"ended": entry.sequence} if waiting else {})

    def _decided(self, entry: LedgerEntry) -> dict[str, Any]:
        changed: dict[str, Any] = {}
        if "candidate" in entry.data:
            changed["last_decision"] = entry.sequence
        if entry.release is None:
            changed["ended"] = entry.sequence
            same = entry.data.get("in_use")
            if entry.reason == Reason.UNCHANGED and same in self.compared:
                changed["compared"] = {**self.compared, same: entry.sequence}
            return changed
        release = ReleaseId.parse(entry.release)
        decided = self._kept({**self.decided, entry.release: entry.sequence})
        return changed | {
            "open": entry.release,
            "approvals": (),
            "numbers": dict(sorted({**self.numbers, release.date.isoformat(): release.number}.items())[-_DAYS:]),
            "decided": decided,
            "compared": {name: self.compared.get(name, sequence) for name, sequence in decided.items()},
            "images": {name: image for name, image in self.images.items() if name in decided},
            "choices": {name: one for name, one in self._choices(entry).items() if name in decided},
        }

    def _choices(self, entry: LedgerEntry) -> dict[str, Choice]:
        choice = entry.data.get("choice")
        return {**self.choices, str(entry.release): Choice.model_validate(choice)} if choice else self.choices

    def _barred(self, entry: LedgerEntry) -> dict[str, Any]:
        """The quarantines and the good releases, where the entry changes them."""
        key = FactKey.parse(entry.key)
        if entry.kind == Kind.APPROVAL:
            return {"quarantines": declined_by(self.quarantines, entry)}
        if entry.kind == Kind.QUARANTINE:
            lifted = entry.data.get("lifts") or []
            left = tuple(one for one in self.quarantines if one.number not in lifted)
            return {"quarantines": left + barred_by(entry, bars_of(entry))}
        if entry.kind == Kind.BLAME:
            return self._blamed(entry)
        if key is None or entry.release is None or key.outcome:
            return {}
        if entry.reason == Reason.VERIFIED and key.step.startswith(f"{LAST}."):
            return self._proved(entry)
        where = entry.data.get("environment")
        if key.step == of_environment(LAST, RESTORED):
            return {"good": self._good_with(entry.release)}
        if where in self.traffic and key.step in (of_environment(where, WITHDRAWAL), of_environment(where, ROLLBACK)):
            stays = where != LAST or bool(entry.data.get("undone"))
            good = tuple(name for name in self.good if stays or name != entry.release)
            lifted = entry.data.get("lifts") or []
            left = tuple(one for one in self.quarantines if one.number not in lifted)
            known = {one.parts for one in left if not one.unseen}
            bars = [bar for bar in bars_of(entry) if bar.parts not in known]
            return {"good": good, "quarantines": left + barred_by(entry, bars)}
        return {}

    def _blamed(self, entry: LedgerEntry) -> dict[str, Any]:
        """What is newest said of a release's failed gate takes the place of what was said before."""
        left = tuple(one for one in self.quarantines if not (one.unseen and one.release == entry.release))
        known = {one.parts for one in left}
        bars = [bar for bar in bars_of(entry) if bar.parts not in known]
        return {"quarantines": left + barred_by(entry, bars, unseen=bool(entry.data.get("unseen")))}

    def _proved(self, entry: LedgerEntry) -> dict[str, Any]:
        """A release was found to be right in the last environment."""
        release = str(entry.release)
        choice = self.choices.get(release, Choice())
        refuted = {one.number for one in self.quarantines if one.unseen and one.release == release}
        left = tuple(one for one in self.quarantines if one.number not in {*choice.lifts, *refuted})
        return {
            "good": self._good_with(release),
            "quarantines": left + barred_by(entry, choice.bars, chosen=True),
            "choices": {name: one for name, one in self.choices.items() if name != release},
        }

    def _good_with(self, release: str) -> tuple[str, ...]:
        return (*(name for name in self.good if name != release), release)[-KEPT_GOOD:]

    def _kept(self, decided: dict[str, int]) -> dict[str, int]:
        """Of so many releases: those that traffic speaks of, and the newest."""
        places = self.traffic.values()
        told = [(one.release, one.previous, one.going_to, one.canary and one.canary.release) for one in places]
        waits = {self.waiting.release} if self.waiting else set()
        needed = {*self.good, *waits, *(name for one in told for name in one if name)}
        newest = list(decided)[-_KEPT:]
        return {name: sequence for name, sequence in decided.items() if name in needed or name in newest}

    def _moved(self, entry: LedgerEntry) -> dict[str, Traffic]:
        """The environments whose traffic the entry tells of."""
        key, where = FactKey.parse(entry.key), entry.data.get("environment")
        if key is None or not isinstance(where, str) or not entry.release:
            return {}
        now = self.traffic.get(where, Traffic())
        canary = canary_after(now.canary, entry, where)
        if canary != now.canary:
            return {where: now.model_copy(update={"canary": canary})}
        if key.step == of_environment(where, WITHDRAWAL) and now.release == entry.release:
            return {where: now.model_copy(update={"withdrawing": entry.sequence, "trouble": ""})}
        if key.step == of_environment(where, ROLLBACK) and now.release == entry.release:
            ordered = {"withdrawing": entry.sequence, "going_to": entry.data.get("to") or "", "trouble": ""}
            return {where: now.model_copy(update=ordered)}
        if key.step == of_environment(where, RESTORED):
            return self._restored(entry, where, now)
        if key.step == of_environment(where, WITHDRAWN):
            return self._withdrawn(entry, where, now, failed=bool(key.outcome))
        if entry.reason == Reason.ROLLED_OUT:
            return {where: self._forward(entry, now)}
        if entry.reason == Reason.VERIFIED and now.release == entry.release:
            return {where: now.model_copy(update={"verified": True})}
        return self._went_back_before(entry, where, now)

    def _forward(self, entry: LedgerEntry, now: Traffic) -> Traffic:
        """All users were sent to the entry's release, unless that is told late: something that was ordered after it is
        in use."""
        order = self.decided.get(entry.release or "", 0)
        if now.fenced and order < now.order:
            return now
        previous = entry.data.get("previous") or (now.release if now.release != entry.release else now.previous)
        later = now.canary and now.canary.release != entry.release and now.canary.order > order
        return Traffic(
            release=entry.release,
            order=order,
            fenced=True,
            since=entry.time,
            previous=previous or None,
            canary=now.canary if later else None,
        )

    def _withdrawn(self, entry: LedgerEntry, where: str, now: Traffic, *, failed: bool) -> dict[str, Traffic]:
        if failed:
            return {where: now.model_copy(update={"trouble": entry.sentence})}
        if now.canary and now.canary.release == entry.release:
            return {where: now.model_copy(update={"canary": None})}
        if now.release != entry.release:
            return {}  # a newer one was rolled out meanwhile
        back = entry.data.get("to") or None
        order = now.withdrawing or entry.sequence
        return {where: Traffic(release=back, order=order, since=entry.time, verified=back is not None)}

    def _restored(self, entry: LedgerEntry, where: str, now: Traffic) -> dict[str, Traffic]:
        """A person sent users back to this release, whatever the record knows of what was in between."""
        order = int(entry.data.get("order") or 0)
        if order <= now.order:  # written late: something that was ordered after it is in use
            return {}
        proved = where != LAST or entry.release in self.good
        return {where: Traffic(release=entry.release, order=order, fenced=True, since=entry.time, verified=proved)}

    def _went_back_before(self, entry: LedgerEntry, where: str, now: Traffic) -> dict[str, Traffic]:
        """Until schema 2 going back was told in a verification's failure, as a sentence."""
        if entry.schema > 1 or entry.kind != Kind.VERIFICATION or now.release != entry.release:
            return {}
        action = str(entry.data.get("action", ""))
        if f"{where} serves {now.previous} again" in action or action.endswith(f"{where} serves nothing."):
            back = now.previous
            return {where: Traffic(release=back, order=now.order, since=entry.time, verified=back is not None)}
        return {}
