"""Releases that are broken in one way: none of them may take the traffic."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from nightferry.clients.doors.cluster import Manifest
from nightferry.drill.fault import Allows, Unseen
from nightferry.drill.faults.base import Standard, refusal, rolled_out
from nightferry.drill.faults.starts import (
    CRASH,
    EAT,
    METRICS_GONE,
    SERVE,
    SLEEP,
    SLOW,
    SLOW_START,
    WRONG,
    WRONG_FILE,
    python,
    wrong_once_used,
)
from nightferry.drill.meddling import Change, MeddlingCluster
from nightferry.drill.trial import Trial
from nightferry.entities.barring.quarantine import bars_of
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.strategy import BLUE_GREEN
from nightferry.steps.record.history import release_entries

SOON = 20
"""Seconds that a release gets that never becomes ready; others have the service file's."""
NOT_READY = frozenset({Reason.ROLLOUT_NOT_READY})
BAKE_SECONDS = 30
READS = 3
"""How often each pod's metrics are read before they go away, which is enough to find that all is well so far."""
EASY = {"errors": 0.5, "p95": 100, "saturation": 1, "requests": 20}
"""Limits that callers' few requests are enough for."""
ANOTHER_WAIT = 119
"""Seconds to become ready, not the usual ones: something that the release before has not, and that could be barred."""
_NOBODY = "0" * 64


@dataclass(frozen=True, kw_only=True)
class BrokenRelease(Standard):
    """A release whose container is changed before it is made."""

    change: Change | None = None
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
        self.begin(trial, self.change, **given)

    def begin(self, trial: Trial, change: Change | None, **environment: Any) -> None:
        """Begin to roll out a release that is changed so."""
        plan = trial.decide(image=self.image(trial), gates=self.gates, **environment)
        trial.begin(plan, replace(trial.doors, cluster=MeddlingCluster(trial.doors.cluster, change)))

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


@dataclass(frozen=True, kw_only=True)
class WrongOnceUsed(BrokenRelease):
    """A release that is found right beside the one in use, and answers wrongly once users get it."""

    expects: frozenset[Reason] = frozenset({Reason.VERIFY_GOLDEN_WRONG})
    stock: bool = True

    def inject(self, trial: Trial) -> None:
        """Begin to roll it out; it knows users by the host that they ask."""
        self.begin(trial, _runs(wrong_once_used(trial.hosts())))

    def see(self, trial: Trial) -> str:
        """It came into use, and went back by itself."""
        return f"{super().see(trial)} {taken_back(trial).sentence}"


@dataclass(frozen=True, kw_only=True)
class MetricsGone(BrokenRelease):
    """A release that is watched with all the users, whose metrics go away meanwhile."""

    expects: frozenset[Reason] = frozenset({Reason.NO_FIGURES})
    stock: bool = True

    def inject(self, trial: Trial) -> None:
        """Begin to roll it out."""
        strategy = {"kind": BLUE_GREEN, "bake_minutes": BAKE_SECONDS / 60, "limits": EASY}
        self.begin(trial, self.change, strategy=strategy, ready_seconds=ANOTHER_WAIT)

    def see(self, trial: Trial) -> str:
        """It is taken back for want of figures, and nothing of it is barred: nobody saw it do anything wrong."""
        said = super().see(trial)
        taken_back(trial)
        entries = release_entries(trial.doors.ledger, trial.candidate)
        barred = [bar for entry in entries for bar in bars_of(entry)]
        if barred:
            raise Unseen(f"Nothing was wrong with it, and yet it barred {', '.join(one.words for one in barred)}.")
        return said


def taken_back(trial: Trial) -> LedgerEntry:
    """The entry of the record with which the release that was decided last left the users. Raises Unseen."""
    entries = release_entries(trial.doors.ledger, trial.candidate)
    found = [entry for entry in entries if entry.reason == Reason.WITHDRAWN]
    if not found:
        raise Unseen(f"By the record {trial.candidate} was never taken back from users.")
    return found[-1]


def _runs(script: str) -> Change:
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
    WrongOnceUsed(
        name="wrong once it is used",
        quick=True,
        says="A release is rolled out that is right when it is asked beside the one in use, and wrong for users.",
        allows=Allows(wrong_seconds=30),
    ),
    MetricsGone(
        name="metrics gone",
        says=f"A release is watched for {BAKE_SECONDS} s with all the users, and its metrics go away meanwhile.",
        change=_runs(METRICS_GONE.format(reads=READS) + SERVE),
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
