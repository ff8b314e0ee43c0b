"""One entry of the ledger: canonical JSON, chained to the entry before by its sha256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field

from nightferry.entities.frozen import Frozen

GENESIS = "0" * 64
"""`previous` of a chain's first entry."""
SCHEMA = 2
"""What this version writes. Entries of before have no `schema`: they are 1."""


class Kind(StrEnum):
    """What an entry is about, in the words that this version writes. A reader meets others too."""

    DECISION = "decision"
    STEP = "step"
    ROLLOUT = "rollout"
    VERIFICATION = "verification"
    RELEASE = "release"
    WITHDRAWAL = "withdrawal"
    ROLLBACK = "rollback"
    QUARANTINE = "quarantine"
    HOLD = "hold"
    IMAGES = "images"
    DRIFT = "drift"
    REHEARSAL = "rehearsal"
    DRILL = "drill"
    BLAME = "blame"
    TRIGGER = "trigger"
    WAITING = "waiting"
    EXCEPTION = "exception"
    APPROVAL = "approval"
    PREVIEW = "preview"


def canonical(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(stored: Mapping[str, Any]) -> str:
    """The sha256 of an entry as it is stored: of the canonical JSON of everything in it but `digest` itself."""
    return hashlib.sha256(canonical({key: value for key, value in stored.items() if key != "digest"})).hexdigest()


class LedgerEntry(Frozen):
    """An entry. `digest` is over what is stored, so that the last entry of a chain shows a change too, and so that a
    version which knows other fields comes to the same digest; `previous` is the digest of the entry before."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    schema_version: int = Field(default=1, ge=1, alias="schema")
    """Stored, and given to the constructor, as `schema`; pydantic has an attribute of that name already."""
    sequence: int = Field(ge=1)
    time: str
    """UTC, RFC 3339 with seconds: 2026-11-21T02:00:00Z."""
    service: str
    kind: str
    """A Kind, or a word of another version: compare with `==`."""
    key: str
    """Names the fact: one fact is written once, whoever retries. E.g. `digits-2026-11-21.1/build_image`."""
    release: str | None
    actor: str
    reason: str
    """A Reason, or a word of another version: compare with `==`."""
    sentence: str
    data: dict[str, Any]
    previous: str
    digest: str = ""

    @property
    def schema(self) -> int:  # type: ignore[override]
        """Which version of the record's format wrote it."""
        return self.schema_version

    def sealed(self) -> LedgerEntry:
        """The entry with its digest filled in."""
        return self.model_copy(update={"digest": digest_of(self.to_json())})

    def to_json(self) -> dict[str, Any]:
        """The entry as it is stored: what was not given, as `schema` in entries of before, is not in it."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def to_bytes(self) -> bytes:
        """The bytes that are stored."""
        return canonical(self.to_json())

    @staticmethod
    def name(service: str, sequence: int) -> str:
        """The blob that holds an entry: `digits/000000000001.json`."""
        return f"{service}/{sequence:012d}.json"
