"""Airflow, asked again while it is silent or in trouble: while a request is made, a restart is no reason to give up."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nightferry.clients.airflow.api import Airflow, Run, TaskState
from nightferry.clients.clock import Clock
from nightferry.errors import Temporary

PATIENCE_SECONDS = 90.0
"""How long one question may go unanswered: longer than a restart of Airflow takes."""
PAUSE_SECONDS = 0.5
"""Before the first repetition; each pause is twice the one before."""
LONGEST_PAUSE_SECONDS = 8.0
T = TypeVar("T")


class PatientAirflow:
    """Repeats what failed for a while: no answer, a time-out, a server error. What Airflow refuses is not repeated.

    Starting a run is safe to repeat, since its id makes it one run: if the first answer was lost, the second says that
    the run is there already.
    """

    def __init__(self, airflow: Airflow, clock: Clock) -> None:
        self._airflow = airflow
        self._clock = clock

    @property
    def address(self) -> str:
        """The address of Airflow's pages."""
        return self._airflow.address

    def paused(self, dag: str) -> bool | None:
        """See `Airflow`."""
        return self._insist(lambda: self._airflow.paused(dag))

    def trigger(self, dag: str, run: str, conf: Mapping[str, Any], note: str = "") -> bool:
        """See `Airflow`."""
        return self._insist(lambda: self._airflow.trigger(dag, run, conf, note))

    def run(self, dag: str, run: str) -> Run | None:
        """See `Airflow`."""
        return self._insist(lambda: self._airflow.run(dag, run))

    def tasks(self, dag: str, run: str) -> list[TaskState]:
        """See `Airflow`."""
        return self._insist(lambda: self._airflow.tasks(dag, run))

    def _insist(self, ask: Callable[[], T]) -> T:
        until = self._clock.monotonic() + PATIENCE_SECONDS
        pause = PAUSE_SECONDS
        while True:
            try:
                return ask()
            except Temporary as fault:
                # By chance up to half as long again: thirty who were refused at once do not come back at once.
                wait = pause * random.uniform(1, 1.5)  # noqa: S311 (no secret)
                if self._clock.monotonic() + wait >= until:
                    raise
                if pause == PAUSE_SECONDS:
                    print(f"{fault.sentence} Trying again.", file=sys.stderr)
            self._clock.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
