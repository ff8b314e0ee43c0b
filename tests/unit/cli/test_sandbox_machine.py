"""Parts that are killed are started again by the supervisor, and whoever waits for that waits so long at most."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from nightferry.cli.trial import sandbox_machine
from nightferry.cli.trial.sandbox_machine import SandboxMachine
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.sandbox.supervise.supervision import Process


class Looking:
    """A supervisor that says, at each look, what the test says, and the last of it from then on."""

    def __init__(self, *said: dict[str, Process]) -> None:
        self.said, self.started, self.stopped = list(said), 0, 0

    def processes(self) -> dict[str, Process]:
        return self.said.pop(0) if len(self.said) > 1 else self.said[0]

    def start(self, part: str) -> None:
        self.started += 1

    def stop(self, parts: list[str]) -> None:
        self.stopped += 1


@pytest.fixture
def program() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def machine(supervisor: Looking, **fields: Any) -> SandboxMachine:
    made = SandboxMachine.__new__(SandboxMachine)
    vars(made).update({"_layout": None, "_supervisor": supervisor, "_environment": {}} | fields)
    return made


def envoy(pid: int, state: str = "RUNNING") -> dict[str, Process]:
    return {"envoy": Process(state, pid, 0.0)}


def test_it_is_killed_and_never_stopped(program: subprocess.Popen[bytes]) -> None:
    supervisor = Looking(envoy(program.pid), envoy(program.pid), {}, envoy(7))  # once the supervisor does not answer
    machine(supervisor).kill("envoy")
    assert program.wait(10) == -9
    assert supervisor.stopped == 0


@pytest.mark.parametrize("said", [{}, envoy(0, "EXITED")])
def test_what_does_not_run_cannot_be_killed(said: dict[str, Process]) -> None:
    with pytest.raises(Temporary, match="does not run"):
        machine(Looking(said)).kill("envoy")


def test_one_that_outlives_it_is_told(program: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_machine, "GONE_SECONDS", 0.1)
    with pytest.raises(Temporary, match="outlived"):
        machine(Looking(envoy(program.pid))).kill("envoy")


def test_its_health_is_waited_for_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    states = ["it waits for its configuration", "it waits for its configuration", "healthy"]

    def status(_: object) -> Any:
        state = states.pop(0) if len(states) > 1 else states[0]
        return SimpleNamespace(parts=[SimpleNamespace(name="envoy", state=state)])

    monkeypatch.setattr(sandbox_machine, "status", status)
    supervisor = Looking(envoy(7))
    machine(supervisor).start("envoy")
    assert supervisor.started == 3
    states[:] = ["it waits for its configuration"]
    monkeypatch.setattr(sandbox_machine, "WELL_SECONDS", 0.1)
    with pytest.raises(Temporary, match="waits for its configuration") as late:
        machine(supervisor).start("envoy")
    assert late.value.reason is Reason.SANDBOX_FAILED
