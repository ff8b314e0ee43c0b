"""Releases that are broken in one way: none of them may take the traffic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from nightferry.clients.cluster import Manifest
from nightferry.drill.faults.base import Standard, refusal, rolled_out
from nightferry.drill.faults.starts import (
    CRASH,
    EAT,
    SERVE,
    SLEEP,
    SLOW,
    SLOW_START,
    WRONG,
    WRONG_FILE,
    python,
)
from nightferry.drill.meddling import MeddlingCluster
from nightferry.drill.trial import Trial
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason

SOON = 20
"""Seconds that a release gets that never becomes ready; others have the service file's."""
NOT_READY = frozenset({Reason.ROLLOUT_NOT_READY})
_NOBODY = "0" * 64


@dataclass(frozen=True, kw_only=True)
class BrokenRelease(Standard):
    """A release whose container is changed before it is made."""

    change: Callable[[Manifest], None] | None = None
    expects: frozenset[Reason] = NOT_READY
    """With which reason it has to be refused; empty: it has to come into use all the same."""
    told: str = ""
    """Words that the refusal has to hold."""
    gates: dict[str, str] = field(default_factory=dict)
    seconds: int | None = None
    stock: bool = False
    """Whether only the stock service can be broken so."""

    def refused(self, trial: Trial) -> str:
        """An app of its own is started in a way that the drill does not know."""
        return "It needs the stock service, whose start is known." if self.stock and not trial.stock else ""

    def inject(self, trial: Trial) -> None:
        """Begin to roll it out."""
        given = {"ready_seconds": self.seconds} if self.seconds else {}
        plan = trial.decide(image=self.image(trial), gates=self.gates, **given)
        doors = replace(trial.doors, cluster=MeddlingCluster(trial.doors.cluster, self.change))
        trial.begin(plan, doors)

    def image(self, trial: Trial) -> str | None:
        """The image; None: that of the release in use."""
        return None

    def see(self, trial: Trial) -> str:
        """The refusal, or the end of the rollout."""
        return refusal(trial, self.expects, self.told) if self.expects else rolled_out(trial)


@dataclass(frozen=True, kw_only=True)
class ImageMissing(BrokenRelease):
    """A release whose image the registry has not got."""

    def image(self, trial: Trial) -> str | None:
        """The same repository, and a digest that nothing has."""
        return str(replace(ImageRef.parse(trial.image), digest=f"sha256:{_NOBODY}"))


def _runs(script: str) -> Callable[[Manifest], None]:
    return lambda container: container.update(python(script))


def _eats(container: Manifest) -> None:
    container.update(python(EAT))
    for kind in ("requests", "limits"):
        container["resources"][kind]["memory"] = "96Mi"


RELEASES = (
    ImageMissing(
        name="image missing", quick=True, says="A release is rolled out whose image the registry has not got."
    ),
    BrokenRelease(
        name="crashes",
        quick=True,
        says="A release is rolled out that crashes at its start.",
        change=_runs(CRASH),
        told="this release crashes",
    ),
    BrokenRelease(
        name="never ready",
        says=f"A release is rolled out that never becomes ready within {SOON} s.",
        change=_runs(SLEEP),
        told=f"not ready within {SOON} s",
        seconds=SOON,
    ),
    BrokenRelease(
        name="loads slowly",
        says="A release is rolled out that takes 15 s longer to load; it has to come into use.",
        change=_runs(SLOW_START.format(seconds=15)),
        expects=frozenset(),
        new=True,
        stock=True,
    ),
    BrokenRelease(
        name="wrong model file",
        quick=True,
        says="A release is rolled out in whose model one byte is wrong.",
        change=_runs(WRONG_FILE + SERVE),
        told="sha256",
        stock=True,
    ),
    BrokenRelease(
        name="wrong predictions",
        quick=True,
        says="A release is rolled out that starts well and predicts wrongly.",
        change=_runs(WRONG + SERVE),
        expects=frozenset({Reason.VERIFY_GOLDEN_WRONG}),
        stock=True,
    ),
    BrokenRelease(
        name="slow predictions",
        says="A release is rolled out whose predictions take 50 ms longer, where a gate allows 1.5 times as long.",
        change=_runs(SLOW.format(seconds=0.05) + SERVE),
        expects=frozenset({Reason.GATE_P95}),
        gates={"p95": "<= 1.5x"},
        stock=True,
    ),
    BrokenRelease(
        name="killed for memory",
        says="A release is rolled out that takes more memory than it may have.",
        change=_eats,
        told="OOMKilled",
    ),
)
