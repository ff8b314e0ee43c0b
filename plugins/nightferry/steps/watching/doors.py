"""What a look needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cursor_store import CursorStore
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.clients.doors.runs import Runs
from nightferry.clients.doors.watched_source import WatchedSource
from nightferry.entities.service_spec import ModelSource


@dataclass(frozen=True)
class Doors:
    """The outside systems of a look. Each is used by several threads at once."""

    source: Callable[[str], WatchedSource]
    """Opens a git repository by its address."""
    models: Callable[[ModelSource], ModelRepository]
    """Opens a model repository."""
    ledger: LedgerStore
    cursors: CursorStore
    runs: Runs
    clock: Clock
    work: Path
    """The work folder: who looks at a repository holds a lock there, so that one process of a machine does."""
