"""What is barred from release, and what is barred in it: that which differs between a release that was left and the
one that users got again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from pydantic import Field

from nightferry.entities.candidate import Candidate
from nightferry.entities.frozen import Recorded
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.model_version import PinnedModel, Sha256
from nightferry.entities.service_spec import ServiceSpec

STAYS_HERE = {"warm_minutes", "strategy", "heal", "approvals"}
"""Keys of an environment that change no object: they say how a rollout goes and what is done
after it, not what it makes."""


class Parts(Recorded):
    """The parts of a release, or those of them that are barred together: a candidate that has all of these."""

    model: Sha256 | None = None
    """sha256 of the model's `model.json`."""
    tree: str | None = None
    """git's id of the app's folder: a commit that leaves the folder as it was has the same."""
    platform: Sha256 | None = None
    """sha256 over base image, recipe and lock."""
    settings: Sha256 | None = None
    """sha256 over what of the service file reaches pods and Services."""

    @classmethod
    def of(cls, candidate: Candidate, spec: ServiceSpec | None) -> Parts:
        """All parts of a candidate; without its service file the settings are not known."""
        lock = candidate.lock.sha256 if candidate.lock else ""
        return cls(
            model=candidate.model.sha256,
            tree=candidate.source.tree,
            platform=_digest([candidate.base_image, candidate.recipe, lock]),
            settings=_digest(_settings(spec)) if spec else None,
        )

    def without(self, others: Parts) -> Parts:
        """Those parts that the others do not have; what either does not know does not count."""
        mine, theirs = self.to_json(), others.to_json()
        return Parts(**{name: value for name, value in mine.items() if theirs[name] not in (None, value)})

    def among(self, others: Parts) -> bool:
        """Whether the others have all of these, of which there is one at least."""
        mine, theirs = self.named(), others.to_json()
        return bool(mine) and all(theirs[name] == value for name, value in mine.items())

    def named(self) -> dict[str, str]:
        """Those that there are, by their names."""
        return {name: value for name, value in self.to_json().items() if value is not None}


class Bar(Recorded):
    """Parts to be barred together, as an entry says it."""

    parts: Parts
    words: str
    """What is barred, for people: `model v2`, `model v2 with source 1a2b3c4d`."""
    limits: dict[str, str] = Field(default_factory=dict)
    """The gates that its figures did not meet; it is barred only while the service file has them so."""


class Choice(Recorded):
    """What a release that somebody asked for by name does to quarantines, once users get it."""

    bars: tuple[Bar, ...] = ()
    lifts: tuple[int, ...] = ()


class Quarantine(Bar):
    """A part of a release, or several together, barred from release."""

    number: int
    """The sequence of the entry that barred it; with it, it is lifted."""
    since: str
    """UTC, RFC 3339."""
    actor: str
    sentence: str
    """Why, for people."""
    chosen: bool = False
    """A person released something older by hand: the night leaves this alone, and who asks for it by name gets it."""
    unseen: bool = False
    """A gate kept it from users: the night does not try it again, and who asks for it by name has it tried again."""
    release: str | None = None
    """The release that it was barred for."""

    def stands(self, spec: ServiceSpec) -> bool:
        """Whether it counts: a gate that was changed since may be met."""
        return all(name in spec.gates and str(spec.gates[name]) == limit for name, limit in self.limits.items())


def difference(left: Candidate, left_spec: ServiceSpec | None, back: Candidate, back_spec: ServiceSpec | None) -> Parts:
    """What of a release that was left is not in the one that users get again."""
    return Parts.of(left, left_spec).without(Parts.of(back, back_spec))


def words_for(parts: Parts, candidate: Candidate) -> str:
    """What is barred, for people."""
    said = {
        "model": f"model {candidate.model.version}",
        "tree": f"source {candidate.source.commit[:8]}",
        "platform": "the platform (base image, recipe and packages)",
        "settings": "the settings of the service file",
    }
    return " with ".join(said[name] for name in parts.named())


def barred_by(entry: LedgerEntry, bars: Iterable[Bar], **how: bool) -> tuple[Quarantine, ...]:
    """The quarantines that an entry begins; `how`: chosen, unseen."""
    facts = {"number": entry.sequence, "since": entry.time, "actor": entry.actor, "sentence": entry.sentence}
    whose = {"release": entry.release} | how
    return tuple(Quarantine(**facts, **whose, parts=bar.parts, words=bar.words, limits=bar.limits) for bar in bars)


def bars_of(entry: LedgerEntry) -> tuple[Bar, ...]:
    """What an entry bars."""
    return tuple(Bar.model_validate(each) for each in entry.data.get("bars") or ())


def bars_model(quarantine: Quarantine, model: PinnedModel) -> bool:
    """Whether the model alone is barred."""
    return quarantine.parts.named() == {"model": model.sha256}


def bars_tree(quarantine: Quarantine, tree: str) -> bool:
    """Whether the app's code alone is barred."""
    return quarantine.parts.named() == {"tree": tree}


def reaching(spec: ServiceSpec) -> dict[str, Any]:
    """What of a service file reaches pods and Services: `production.replicas` -> 2."""
    return {
        f"{environment.name}.{key}": value
        for environment in spec.environments
        for key, value in environment.to_json().items()
        if key not in STAYS_HERE
    }


def _settings(spec: ServiceSpec) -> dict[str, Any]:
    """The same without what is as if nothing were said, so that a key which a later version adds changes nothing."""
    return {
        one.name: one.model_dump(mode="json", exclude_defaults=True, exclude=STAYS_HERE) for one in spec.environments
    }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
