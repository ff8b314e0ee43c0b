"""An entry from the bytes that are stored, checked against its digest."""

from __future__ import annotations

import json
from typing import Any

from nightferry.entities.ledger_entry import SCHEMA, LedgerEntry, digest_of
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


def parse(name: str, content: bytes) -> LedgerEntry:
    """An entry from its bytes, its digest checked.

    Raises:
        Permanent: (ledger_broken) it is not the entry that was written; (ledger_newer) a newer version wrote it, in a
            form that this one cannot check.
    """
    stored = _object(name, content)
    entry = _entry(stored)
    if entry is None:
        raise _unlike(name, stored, "it is not an entry")
    try:
        computed = digest_of(stored)
    except ValueError as fault:
        raise broken(name, "it is not an entry") from fault
    if entry.digest != computed:
        raise _unlike(name, stored, "its content is not what its digest says")
    if name != LedgerEntry.name(entry.service, entry.sequence):
        raise broken(name, f"it says that it is {LedgerEntry.name(entry.service, entry.sequence)}")
    return entry


def parsed(name: str, content: bytes) -> LedgerEntry | None:
    """The entry; None when the bytes are none: something that does not belong there."""
    try:
        return parse(name, content)
    except Permanent:
        return None


def broken(name: str, fact: str) -> Permanent:
    """The error that says what is wrong, and at which entry."""
    return Permanent(
        Reason.LEDGER_BROKEN,
        f"The ledger was changed at entry {name}: {fact}. Keep it as it is, and compare it with a backup.",
    )


def newer(name: str, schema: int) -> Permanent:
    """The error about an entry that only a newer version can check."""
    return Permanent(
        Reason.LEDGER_NEWER,
        f"Entry {name} of the ledger was written by a newer version of Nightferry (schema {schema}; this one knows "
        f"{SCHEMA}), in a form that this version cannot check. Use the newer version here too.",
    )


def _object(name: str, content: bytes) -> dict[str, Any]:
    try:
        stored = json.loads(content)
    except (ValueError, RecursionError) as fault:
        raise broken(name, "it is not an entry") from fault
    if not isinstance(stored, dict):
        raise broken(name, "it is not an entry")
    return stored


def _entry(stored: dict[str, Any]) -> LedgerEntry | None:
    try:
        return LedgerEntry.model_validate(stored, strict=True)
    except ValueError:
        return None


def _unlike(name: str, stored: dict[str, Any], fact: str) -> Permanent:
    schema = stored.get("schema")
    return newer(name, schema) if isinstance(schema, int) and schema > SCHEMA else broken(name, fact)
