"""The sandbox as the drill wants it: its parts can be stopped, started and killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.status import status
from nightferry.sandbox.supervise.supervision import Supervisor

WELL_SECONDS = 180.0
GONE_SECONDS = 15.0


class SandboxMachine:
    """A Machine over the sandbox's supervisor."""

    def __init__(self, layout: Layout, environment: Mapping[str, str]) -> None:
        self._layout, self._supervisor, self._environment = layout, Supervisor(layout), environment

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of a deployer that works in the trial."""
        return self._environment

    def refused(self, part: str) -> str:
        """Why a part cannot be taken away here; empty where it can."""
        if part not in self._supervisor.processes():
            return f"The sandbox here has no part {part}."
        return "" if os.geteuid() == 0 else f"Stopping {part} takes root's rights."

    def stop(self, part: str) -> None:
        """Stop it, and return when it has ended."""
        self._supervisor.stop([part])

    def start(self, part: str) -> None:
        """Start it where it does not run, and wait until it does its work."""
        deadline = time.monotonic() + WELL_SECONDS
        while True:
            state = self._started(part)
            if state == "healthy":
                return
            if time.monotonic() > deadline:
                raise Temporary(Reason.SANDBOX_FAILED, f"{part} does not do its work again: {state}.")
            time.sleep(0.2)

    def _started(self, part: str) -> str:
        try:
            self._supervisor.start(part)
        except Permanent as fault:  # it may be on its way already
            return fault.sentence
        return next((one.state for one in status(self._layout).parts if one.name == part), "unknown")

    def kill(self, part: str) -> None:
        """kill -9; the supervisor starts it again."""
        process = self._supervisor.processes().get(part)  # none where the supervisor does not answer now
        if process is None or not process.running:
            raise Temporary(Reason.SANDBOX_FAILED, f"{part} does not run, so it cannot be killed.")
        os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + GONE_SECONDS
        while (found := self._supervisor.processes().get(part)) is None or found.pid == process.pid:
            if time.monotonic() > deadline:
                raise Temporary(Reason.SANDBOX_FAILED, f"{part} outlived kill -9 for {GONE_SECONDS:g} s.")
            time.sleep(0.05)
