"""What most faults have in common."""

from __future__ import annotations

from concurrent.futures import TimeoutError as TooLong
from dataclasses import dataclass

from nightferry.drill.fault import NOTHING, Allows, Unseen
from nightferry.drill.trial import Trial
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError

END_SECONDS = 300.0
"""What a rollout may take to come to its end."""


@dataclass(frozen=True, kw_only=True)
class Standard:
    """A fault that can be tried on every service, that nobody may notice, and that heals by itself."""

    name: str
    says: str
    allows: Allows = NOTHING
    quick: bool = False
    parts: tuple[str, ...] = ()
    new: bool = False

    def refused(self, trial: Trial) -> str:
        """It can be tried."""
        return ""

    def heal(self, trial: Trial) -> None:
        """Nothing is to be done."""


def refusal(trial: Trial, expected: frozenset[Reason], told: str = "") -> str:
    """The sentence with which the rollout that was begun was refused.

    Args:
        expected: for one of these reasons.
        told: words that the sentence has to hold, which name the fault.

    Raises:
        Unseen: it was not, or for another reason.
    """
    fault = _end(trial)
    if fault is None:
        raise Unseen(f"{trial.candidate} was rolled out although it is broken.")
    if fault.reason not in expected:
        wanted = " or ".join(sorted(expected))
        raise Unseen(f"It was taken for {fault.reason}, not for {wanted}: {fault.sentence}")
    if told not in fault.sentence:
        raise Unseen(f"The refusal does not say {told!r}: {fault.sentence}")
    return fault.sentence


def rolled_out(trial: Trial) -> str:
    """Wait until the rollout that was begun is done. Raises Unseen where it was refused."""
    fault = _end(trial)
    if fault is not None:
        raise Unseen(f"{trial.candidate} was not rolled out [{fault.reason}]: {fault.sentence}")
    return f"{trial.candidate} was rolled out and verified."


def _end(trial: Trial) -> NightferryError | None:
    if trial.ongoing is None:
        raise Unseen("No rollout was begun.")
    try:
        fault = trial.ongoing.exception(END_SECONDS)
    except TooLong as late:
        raise Unseen(f"The rollout of {trial.candidate} did not end within {END_SECONDS:g} s.") from late
    if fault is None or isinstance(fault, NightferryError):
        return fault
    raise Unseen(f"The rollout of {trial.candidate} met {type(fault).__name__}: {fault}")
