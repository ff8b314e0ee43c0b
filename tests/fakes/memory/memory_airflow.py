"""Airflow in memory, as far as a release needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.clients.airflow.api import Run, TaskState
from nightferry.errors import NightferryError


class MemoryAirflow:
    """Keeps runs by id. `dags` says which are paused; set `fault` to make every call fail with it."""

    address = "http://127.0.0.1:8080"

    def __init__(self) -> None:
        self.dags: dict[str, bool] = {}
        self.runs: dict[str, str] = {}
        self.confs: dict[str, dict[str, Any]] = {}
        self.states: list[TaskState] = []
        self.fault: NightferryError | None = None
        self.calls = 0
        """How often it was asked."""

    def paused(self, dag: str) -> bool | None:
        self._check()
        return self.dags.get(dag)

    def trigger(self, dag: str, run: str, conf: Mapping[str, Any], note: str = "") -> bool:
        self._check()
        if run in self.runs:
            return False
        self.runs[run] = "queued"
        self.confs[run] = dict(conf)
        return True

    def run(self, dag: str, run: str) -> Run | None:
        self._check()
        return Run(run, self.runs[run]) if run in self.runs else None

    def tasks(self, dag: str, run: str) -> list[TaskState]:
        self._check()
        return self.states

    def _check(self) -> None:
        self.calls += 1
        if self.fault:
            raise self.fault
