"""One entry of the ledger: canonical JSON, chained to the entry before by its sha256."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Any

from pydantic import Field

from nightferry.entities.frozen import Frozen
from nightferry.entities.reason import Reason

GENESIS = "0" * 64
"""`previous` of a chain's first entry."""


class Kind(StrEnum):
    """What an entry is about."""

    DECISION = "decision"
    STEP = "step"
    ROLLOUT = "rollout"
    VERIFICATION = "verification"
    RELEASE = "release"
    WITHDRAWAL = "withdrawal"


def canonical(value: dict[str, Any]) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


class LedgerEntry(Frozen):
    """An entry. `digest` is the sha256 of the entry's canonical JSON without itself, so that the last entry of a
    chain shows a change too; `previous` is the digest of the entry before."""

    sequence: int = Field(ge=1)
    time: str
    """UTC, RFC 3339 with seconds: 2026-11-21T02:00:00Z."""
    service: str
    kind: Kind
    key: str
    """Names the fact: one fact is written once, whoever retries. E.g. `digits-2026-11-21.1/build_image`."""
    release: str | None
    actor: str
    reason: Reason
    sentence: str
    data: dict[str, Any]
    previous: str
    digest: str = ""

    def sealed(self) -> LedgerEntry:
        """The entry with its digest filled in."""
        return self.model_copy(update={"digest": self.computed_digest()})

    def computed_digest(self) -> str:
        """What `digest` has to be."""
        content = self.to_json()
        del content["digest"]
        return hashlib.sha256(canonical(content)).hexdigest()

    def to_bytes(self) -> bytes:
        """The entry as it is stored."""
        return canonical(self.to_json())

    @staticmethod
    def name(service: str, sequence: int) -> str:
        """The blob that holds an entry: `digits/000000000001.json`."""
        return f"{service}/{sequence:012d}.json"
