"""Steps read the record some hundred times in a test."""

from __future__ import annotations

from functools import lru_cache

import pytest
from nightferry.steps.record import ledger, stored_entry


@pytest.fixture(autouse=True)
def _entries_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes need not be digested each time; what was changed has other bytes."""
    monkeypatch.setattr(ledger, "parse", lru_cache(maxsize=5000)(stored_entry.parse))
