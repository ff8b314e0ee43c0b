"""The running sandbox, part by part: laid down with the supervisor, started, watched until it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.progress import Progress, StepGivenUp
from nightferry.sandbox.supervise import parts as kept_parts
from nightferry.sandbox.supervise.parts import Part
from nightferry.sandbox.supervise.supervision import Supervisor

PAUSE = 0.15
"""Seconds between two questions to a part that starts."""
RESTARTS = 2
"""A part that has ended this often while it started will not start."""


class Assembly:
    """Puts parts into the running sandbox. Safe to use from several threads."""

    def __init__(self, layout: Layout, supervisor: Supervisor, progress: Progress, stop: threading.Event) -> None:
        self._layout = layout
        self._supervisor = supervisor
        self._progress = progress
        self._stop = stop
        self._lock = threading.Lock()
        self._parts: dict[str, Part] = {}

    def define(self, parts: Sequence[Part]) -> None:
        """Tell the supervisor of the parts; those that run with another command end."""
        with self._lock:
            self._parts |= {part.name: part for part in parts}
            self._supervisor.add(list(self._parts.values()))

    def complete(self) -> None:
        """End all parts but those that were defined; later commands find these."""
        with self._lock:
            self._supervisor.add(list(self._parts.values()), whole=True)
            kept_parts.keep(self._layout, list(self._parts.values()))

    def bring(self, part: Part) -> None:
        """Define a part and start it."""
        self.define([part])
        self.start(part.name)

    def start(self, name: str) -> None:
        """Start a defined part and return when it works.

        Raises:
            Permanent: (sandbox_failed) it ends again and again, or does not work in its time.
        """
        part = self._parts[name]
        process = self._supervisor.processes().get(name)
        if process and process.running and part.probe.problem(process.started) is None:
            return
        with self._progress.step(f"start {name}", log=self._layout.log(name)):
            self._supervisor.start(name)
            self._await(part)

    def _await(self, part: Part, clock: Callable[[], float] = time.monotonic) -> None:
        until = clock() + part.deadline
        pids: set[int] = set()
        while True:
            process = self._supervisor.processes().get(part.name)
            problem: str | None = "it does not run"
            if process is not None:
                pids |= {process.pid} - {0}
                problem = part.probe.problem(process.started) if process.running else "it does not run"
                if problem is None:
                    return
            if process is None or process.state == "FATAL" or len(pids) > RESTARTS:
                raise Permanent(Reason.SANDBOX_FAILED, f"{part.name} ends as soon as it is started.")
            if clock() > until:
                sentence = f"{part.name} does not work {part.deadline:.0f} s after its start: {problem}."
                raise Permanent(Reason.SANDBOX_FAILED, sentence)
            if self._stop.wait(PAUSE):
                raise StepGivenUp(part.name)
