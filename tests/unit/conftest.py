"""Unit tests see no settings but their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nightferry.clients import connect

from tests.fakes.a_release import SERVICE_FILE
from tests.fakes.memory.memory_models import MemoryModels


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment's NIGHTFERRY_… nor a sandbox of this checkout counts."""
    for name in [name for name in os.environ if name.startswith("NIGHTFERRY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NIGHTFERRY_HOME", str(tmp_path / "home"))


@pytest.fixture
def trial_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is tried in this process, which saves the start of one for each."""
    from nightferry.steps.model import trial, try_model

    monkeypatch.setattr(try_model, "_run", lambda folder, manifest, limit: trial.try_here(folder))


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
