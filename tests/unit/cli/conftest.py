"""The command line over a ledger and a storage in memory."""

from __future__ import annotations

import pytest
from nightferry.clients import connect

from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.still_clock import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> MemoryLedger:
    """The ledger that the commands read."""
    store = MemoryLedger()
    monkeypatch.setattr(connect, "ledger_store", lambda settings: store)
    return store
