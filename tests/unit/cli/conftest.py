"""The command line over a ledger and a storage in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.clients import connect

from tests.fakes.a_release import SERVICE_FILE
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.memory_models import MemoryModels
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


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> MemoryModels:
    """The model repository that the commands use."""
    repository = MemoryModels()
    monkeypatch.setattr(connect, "models", lambda settings, source: repository)
    return repository


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of service files, with one sound file in it."""
    folder = tmp_path / "services"
    folder.mkdir()
    (folder / "digits.yaml").write_text(SERVICE_FILE, encoding="utf-8")
    monkeypatch.setenv("NIGHTFERRY_SERVICES", str(folder))
    return folder
