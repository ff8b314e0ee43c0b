"""Drift: a difference between what runs and what the record says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from nightferry.entities.fact_key import FactKey, of_environment
from nightferry.entities.frozen import Recorded
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason

DRIFT, DRIFT_GONE, HEALED = "drift", "drift_gone", "healed"
"""The steps of an environment's drift: found, gone by itself or by a hand, put back by Nightferry."""
KEPT_DRIFTS = 20
"""How many differences of one environment are open on the record at once; others are recorded when these are gone."""
PASSPORT, POD_IMAGE = "passport", "pod image"
"""What is seen at the pods: not by every look."""


class Drift(Recorded):
    """One difference."""

    what: str
    """`image`, `replicas`, `variable SERVING_THREADS`, `selector` …"""
    where: str
    """The object: `Deployment digits-20261121-1`."""
    expected: str
    """What the record says, masked; for people."""
    found: str
    """What the cluster has, masked; for people."""

    @property
    def cause(self) -> str:
        """Names the difference for as long as it stays the same one: what, where, and what was found."""
        said = "\n".join((self.what, self.where, self.found))
        return "d" + hashlib.sha256(said.encode()).hexdigest()[:15]  # never all digits, which a key counts with

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.what} of {self.where} is {self.found}; by the record it is {self.expected}."


class OpenDrift(Recorded):
    """A difference that is on the record and not gone."""

    number: int
    """The sequence of the entry that told of it."""
    cause: str
    what: str
    since: str
    """UTC, RFC 3339."""
    sentence: str


def drift_key(release: str, environment: str, cause: str, after: int) -> FactKey:
    """The key of one appearance of a difference, told of after the entry `after`: the same one may come back."""
    return FactKey(release, of_environment(environment, DRIFT), cause, after)


def drifts_after(drifts: dict[str, tuple[OpenDrift, ...]], entry: LedgerEntry) -> dict[str, tuple[OpenDrift, ...]]:
    """The open differences, by environment, with one entry more."""
    where = entry.data.get("environment")
    if not isinstance(where, str):
        return drifts
    now = drifts.get(where, ())
    if entry.reason == Reason.DRIFTED:
        found = OpenDrift(
            number=entry.sequence,
            cause=str(entry.data.get("cause", "")),
            what=str(entry.data.get("what", "")),
            since=entry.time,
            sentence=entry.sentence,
        )
        return _with(drifts, where, (*now, found)[-KEPT_DRIFTS:])
    if entry.reason in (Reason.DRIFT_GONE, Reason.HEALED):
        return _with(drifts, where, _without(now, entry.data.get("ends")))
    return drifts


def forget_drifts(drifts: dict[str, tuple[OpenDrift, ...]], environments: Iterable[str]) -> dict[str, Any]:
    """The same without those of environments whose users get another release now: they were about the one before."""
    return {name: found for name, found in drifts.items() if name not in environments}


def _without(now: tuple[OpenDrift, ...], numbers: object) -> tuple[OpenDrift, ...]:
    ended = numbers if isinstance(numbers, list) else []
    return tuple(one for one in now if one.number not in ended)


def _with(
    drifts: dict[str, tuple[OpenDrift, ...]], where: str, now: tuple[OpenDrift, ...]
) -> dict[str, tuple[OpenDrift, ...]]:
    left = {name: found for name, found in drifts.items() if name != where}
    return {**left, where: now} if now else left
