"""A deployer that is killed, at the moments that matter."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass

from nightferry.drill.fault import Unseen
from nightferry.drill.faults.base import Standard
from nightferry.drill.trial import Trial
from nightferry.entities.deployer_end import EXIT_DONE
from nightferry.steps.record.history import release_entries
from nightferry.steps.rollout.read_plan import read_plan

REACH_SECONDS = 120.0
AGAIN_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class DeployerKilled(Standard):
    """kill -9 of a deployer, and another one that goes on."""

    after_switch: bool
    """Whether right after the switch, before it looked at what users get; else while pods come up."""
    new: bool = True

    def inject(self, trial: Trial) -> None:
        """Start it, and kill it at that moment."""
        plan = trial.decide()
        process = trial.start_deployer(plan)
        deadline = time.monotonic() + REACH_SECONDS
        while not self._reached(trial, plan.release):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unseen(f"The deployer did not come so far that it could be killed: {_said(process)}")
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def _reached(self, trial: Trial, release: str) -> bool:
        if self.after_switch:
            return trial.in_use() == release
        return any(
            one["metadata"]["labels"].get("app.kubernetes.io/version") == release
            for one in trial.doors.cluster.list("Pod", {"app.kubernetes.io/name": trial.service})
        )

    def see(self, trial: Trial) -> str:
        """Another deployer is started, as Airflow does it, and finds what was done."""
        plan = read_plan(release_entries(trial.doors.ledger, trial.candidate), "production")
        process = trial.start_deployer(plan)
        try:
            process.wait(AGAIN_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise Unseen(f"The next deployer did not end within {AGAIN_SECONDS:g} s.") from late
        if process.returncode != EXIT_DONE:
            raise Unseen(f"The next deployer failed: {_said(process)}")
        return "The next deployer went on where it stopped."

    def heal(self, trial: Trial) -> None:
        """End whatever still runs."""
        if trial.process and trial.process.poll() is None:
            trial.process.kill()
            trial.process.wait(10)


def _said(process: subprocess.Popen[str]) -> str:
    if process.poll() is None:
        return "it still runs"
    out = process.stdout.read() if process.stdout else ""
    return " | ".join(out.strip().splitlines()[-3:])[:400] or f"exit code {process.returncode}"


DEPLOYERS = (
    DeployerKilled(
        name="deployer killed",
        quick=True,
        says="A deployer is killed with -9 right after the switch, before it looked at what users get.",
        after_switch=True,
    ),
    DeployerKilled(
        name="deployer killed early",
        says="A deployer is killed with -9 while the pods of the new release come up.",
        after_switch=False,
    ),
)
