"""Systems that go away while a release is rolled out: each is stopped or killed for real, where the machine is ours."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass, replace
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Manifest
from nightferry.drill.after import wait
from nightferry.drill.fault import Allows, Unseen
from nightferry.drill.faults.base import Standard, refusal, rolled_out
from nightferry.drill.meddling import MeddlingCluster
from nightferry.drill.trial import Trial
from nightferry.entities.reason import Reason

MADE_SECONDS = 60.0
"""Until the Deployment of a rollout that was begun is made."""
TRIES = 6
MET_SECONDS = 60.0
"""Until a rollout has met what is gone."""


@dataclass(frozen=True, kw_only=True)
class PartGone(Standard):
    """A part is stopped while a release comes up, and started again."""

    seconds: float = 0.0
    """How long it is gone; 0: until the rollout has met it."""
    before: bool = False
    """Whether it is gone before the rollout begins; else once the release's Deployment is made."""
    anew: bool = False
    """Whether the image has to be pulled although the node has it."""
    new: bool = True

    def inject(self, trial: Trial) -> None:
        """Stop it, wait, start it."""
        made = threading.Event()
        cluster = MeddlingCluster(trial.doors.cluster, _pulled if self.anew else None, lambda _: made.set())
        plan = trial.decide()
        if self.before:
            trial.machine.stop(self.parts[0])
        trial.begin(plan, replace(trial.doors, cluster=cluster), tries=TRIES)
        if not self.before:
            if not made.wait(MADE_SECONDS):
                raise Unseen(f"The Deployment of {plan.release} was not made within {MADE_SECONDS:g} s.")
            trial.machine.stop(self.parts[0])
        if self.seconds:
            trial.doors.clock.sleep(self.seconds)
        elif not wait(trial, lambda: bool(trial.tried) or _ended(trial), MET_SECONDS):
            raise Unseen(f"The rollout did not meet that {self.parts[0]} was gone.")

    def see(self, trial: Trial) -> str:
        """It is there again, and the rollout comes to its end."""
        self.heal(trial)
        said = rolled_out(trial)
        met = f" Before that: {trial.tried[0].sentence}" if trial.tried else ""
        return said + met

    def heal(self, trial: Trial) -> None:
        """Start it."""
        trial.machine.start(self.parts[0])


@dataclass(frozen=True, kw_only=True)
class PartKilled(Standard):
    """kill -9 of a part while a release is rolled out; whoever looks after it starts it again."""

    new: bool = True

    def inject(self, trial: Trial) -> None:
        """Kill it."""
        trial.begin(trial.decide(), tries=TRIES)
        trial.machine.kill(self.parts[0])

    def see(self, trial: Trial) -> str:
        """It does its work again, and the rollout comes to its end."""
        self.heal(trial)
        return f"{self.parts[0]} works again. {rolled_out(trial)}"

    def heal(self, trial: Trial) -> None:
        """Wait until it works."""
        trial.machine.start(self.parts[0])


@dataclass(frozen=True, kw_only=True)
class GatewayKilled(PartKilled):
    """The same of what users come through: those of production are asked through it.

    It is killed and not stopped, so that whoever looks after it starts it again although the drill is killed too.
    """

    def refused(self, trial: Trial) -> str:
        """Users have to come through it."""
        return "" if trial.by_gateway else "The users of production are not asked through the gateway from here."


@dataclass(frozen=True, kw_only=True)
class StorageRefuses(Standard):
    """The storage refuses the deployer's key."""

    def refused(self, trial: Trial) -> str:
        """There has to be a key to spoil."""
        return "" if trial.spoiled else "The storage is reached with an identity; there is no key that could be wrong."

    def inject(self, trial: Trial) -> None:
        """Roll out with a wrong key."""
        assert trial.spoiled is not None  # noqa: S101 - `refused` says so
        trial.begin(trial.decide(), trial.spoiled())

    def see(self, trial: Trial) -> str:
        """It is refused, and nothing was touched."""
        return refusal(trial, frozenset({Reason.STORAGE_DENIED}))


class OffClock:
    """A clock that is wrong."""

    def __init__(self, clock: Clock, off: dt.timedelta) -> None:
        self._clock, self._off = clock, off

    def now(self) -> dt.datetime:
        """The wrong time."""
        return self._clock.now() + self._off

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)


@dataclass(frozen=True, kw_only=True)
class ClockOff(Standard):
    """A deployer whose clock is wrong, and one whose clock is right after it."""

    off: dt.timedelta
    new: bool = True

    def inject(self, trial: Trial) -> None:
        """Roll out by the wrong clock."""
        trial.begin(trial.decide(), replace(trial.doors, clock=OffClock(trial.doors.clock, self.off)))

    def see(self, trial: Trial) -> str:
        """It comes into use, and so does the next one, which was ordered later by the right clock."""
        first = rolled_out(trial)
        trial.begin(trial.decide())
        return f"{first} {rolled_out(trial)}"


def _pulled(container: Manifest) -> None:
    container["imagePullPolicy"] = "Always"


def _ended(trial: Trial) -> bool:
    return bool(trial.ongoing and trial.ongoing.done())


SYSTEMS = (
    PartGone(
        name="API server gone",
        says="The API server is gone for 30 s while a release comes up.",
        parts=("kube-apiserver",),
        seconds=30,
    ),
    PartGone(
        name="registry down",
        says="The registry is down while a release is rolled out whose image the node has to pull.",
        parts=("registry",),
        before=True,
        anew=True,
    ),
    PartGone(
        name="Blob down in the middle",
        says="The storage goes away once a rollout has made its Deployment.",
        parts=("azurite",),
    ),
    StorageRefuses(name="Blob refusing", says="The storage refuses the deployer's key."),
    PartKilled(
        name="scheduler killed",
        says="Airflow's scheduler is killed with -9 while a release is rolled out.",
        parts=("airflow-scheduler",),
    ),
    PartKilled(
        name="triggerer killed",
        says="Airflow's triggerer is killed with -9 while a release is rolled out.",
        parts=("airflow-triggerer",),
    ),
    GatewayKilled(
        name="gateway killed",
        says="The gateway is killed with -9 while users of production come through it.",
        parts=("envoy",),
        allows=Allows(production_seconds=15),
    ),
    ClockOff(
        name="clock ten minutes ahead",
        quick=True,
        says="A deployer's clock is ten minutes ahead; after it one rolls out whose clock is right.",
        off=dt.timedelta(minutes=10),
    ),
    ClockOff(
        name="clock ten minutes behind",
        says="A deployer's clock is ten minutes behind; after it one rolls out whose clock is right.",
        off=dt.timedelta(minutes=-10),
    ),
)
