"""Ledgers that other versions wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nightferry.entities.ledger_entry import LedgerEntry, canonical, digest_of

from tests.fakes.memory.memory_ledger import MemoryLedger

SCHEMA_1 = Path(__file__).parents[1] / "data" / "ledger_schema_1.jsonl"
"""The chain of `digits` as version 1.0 wrote it, with every kind of entry; never to be written anew."""


def of_schema_1() -> MemoryLedger:
    """A store that holds the chain of SCHEMA_1, and no note about it."""
    store = MemoryLedger()
    for line in SCHEMA_1.read_bytes().splitlines():
        entry = json.loads(line)
        store.blobs[LedgerEntry.name(entry["service"], entry["sequence"])] = line
    return store


def written_by_a_newer_version(store: MemoryLedger, previous: LedgerEntry, **changes: Any) -> bytes:
    """Add an entry of schema 3: words and fields that nobody knows yet, and a right digest."""
    stored: dict[str, Any] = {
        "schema": 3,
        "sequence": previous.sequence + 1,
        "time": "2027-01-01T00:00:00Z",
        "service": previous.service,
        "kind": "rehearsal",
        "key": "rehearsal:1",
        "release": None,
        "actor": "ada",
        "reason": "would_start",
        "sentence": "It would still start.",
        "data": {},
        "previous": previous.digest,
        "signature": {"by": "ada", "bytes": [1, 2.5]},
    } | changes
    content = canonical(stored | {"digest": digest_of(stored)})
    store.blobs[LedgerEntry.name(previous.service, previous.sequence + 1)] = content
    return content
