"""What a cluster does to pods of the release in use."""

from __future__ import annotations

from dataclasses import dataclass

from nightferry.drill.after import is_back, wait
from nightferry.drill.fault import Unseen
from nightferry.drill.faults.base import Standard
from nightferry.drill.trial import Trial
from nightferry.entities.pod_state import PodState
from nightferry.steps.rollout.await_ready import pods_of

SEEN_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class PodsGone(Standard):
    """Pods of the release in use are ended as a drained node does it."""

    every: bool = False
    """Each of them, one after the other, once the one before was replaced; else one."""

    def inject(self, trial: Trial) -> None:
        """End them."""
        before = _pods(trial)
        if not before:
            raise Unseen("The release in use has no ready pod.")
        for pod in before if self.every else before[:1]:
            trial.doors.cluster.delete("Pod", pod.name)
            if self.every and not wait(trial, lambda gone=pod: _replaced(trial, gone), SEEN_SECONDS):  # type: ignore[misc]
                raise Unseen(f"Pod {pod.name} was not replaced within {SEEN_SECONDS:g} s.")

    def see(self, trial: Trial) -> str:
        """The cluster made others in their place."""
        if not wait(trial, lambda: is_back(trial, trial.good), SEEN_SECONDS):
            raise Unseen(f"The pods were not replaced within {SEEN_SECONDS:g} s.")
        return f"Others took their place: {', '.join(pod.name for pod in _pods(trial))}."


def _pods(trial: Trial) -> list[PodState]:
    found = pods_of(trial.doors.cluster, trial.service, trial.good)
    return [pod for pod in found if pod.ready and not pod.deleting]


def _replaced(trial: Trial, gone: PodState) -> bool:
    return is_back(trial, trial.good) and gone.name not in {pod.name for pod in _pods(trial)}


PODS = (
    PodsGone(name="pod deleted", quick=True, says="One of the two pods of the release in use is deleted."),
    PodsGone(
        name="pods evicted",
        says="Each pod of the release in use is evicted, the next once another took the place of the one before.",
        every=True,
    ),
)
