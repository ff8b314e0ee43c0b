"""Airflow's runs in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from nightferry.errors import NightferryError


class MemoryRuns:
    """Runs by their ids; each waits until `end` is called. Set `fault` to make every call fail with it."""

    def __init__(self) -> None:
        self.conf: dict[str, Mapping[str, Any]] = {}
        self.waiting: list[str] = []
        self.fault: NightferryError | None = None
        self._lock = threading.Lock()

    def start(self, dag: str, run: str, conf: Mapping[str, Any]) -> bool:
        self._check()
        with self._lock:
            if run in self.conf:
                return False
            self.conf[run] = conf
            self.waiting.append(run)
            return True

    def known(self, dag: str, run: str) -> bool:
        self._check()
        return run in self.conf

    def under_way(self, dag: str, run: str) -> bool:
        self._check()
        return run in self.waiting

    def end(self, run: str) -> None:
        self.waiting.remove(run)

    def _check(self) -> None:
        if self.fault:
            raise self.fault
