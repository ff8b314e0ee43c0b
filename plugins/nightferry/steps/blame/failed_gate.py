"""Whether a failure is a gate's word about the release, and what kind of word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from nightferry.entities.app.contract import AppContract
from nightferry.entities.fact_key import FAILED, FactKey
from nightferry.entities.judging.prediction_diff import DIFF, PredictionDiff
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import BUILD_IMAGE, CHECK_MODEL, TEST_SOURCE
from nightferry.entities.service_spec import FLIPS, Gate, ServiceSpec
from nightferry.steps.image.test_source import needs_model
from nightferry.steps.judging.prediction_gates import REASONS
from nightferry.steps.rollout.await_ready import CRASHED

ANSWERS = frozenset(
    {
        Reason.IMAGE_START_FAILED,
        Reason.IMAGE_CONTRACT_BROKEN,
        Reason.IMAGE_GOLDEN_WRONG,
        Reason.VERIFY_GOLDEN_WRONG,
    }
)
"""What the image itself shows wherever it is started and asked."""


class Sort(Enum):
    """How it can be found out whose fault it is."""

    MODEL = auto()
    """The model was looked at by itself."""
    CODE = auto()
    """The code was looked at by itself."""
    ANSWERS = auto()
    """By starting images and asking them."""
    FLIPS = auto()
    """By comparing the answers of images with those of the one in use."""
    UNTOLD = auto()
    """Not with the means that there are."""


@dataclass(frozen=True)
class FailedGate:
    """A gate that failed because of the release."""

    step: str
    reason: str
    sentence: str
    sort: Sort
    bars: bool
    """Whether it was a wrong answer, a crash or a figure: these are not tried again every night."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """The gates of the service file that were not met."""
    flips: Gate | None = None


def failed_gate(
    step: str, reason: str, sentence: str, *, spec: ServiceSpec, app: AppContract | None, known: Sequence[LedgerEntry]
) -> FailedGate | None:
    """What a permanent failure of a step says about the release; None: nothing.

    Args:
        step: that failed, as `test_image` or `staging.roll_out`.
        reason: why.
        sentence: the same in words.
        spec: the service file as it was decided.
        app: the contract of the release's app.
        known: the release's entries: those of a rollout hold its figures.
    """
    what = (step, reason, sentence)
    if step == CHECK_MODEL and (reason == Reason.GATE_FAILED or reason.startswith("model_")):
        figures = reason == Reason.GATE_FAILED
        return FailedGate(*what, Sort.MODEL, figures, _written(spec.metric_gates) if figures else {})
    if step == TEST_SOURCE and reason == Reason.IMAGE_TESTS_FAILED:
        # Tests may fail for the machine that they run on: they are tried again.
        return FailedGate(*what, Sort.UNTOLD if needs_model(app) else Sort.CODE, bars=False)
    if reason in ANSWERS and step != BUILD_IMAGE:
        return FailedGate(*what, Sort.ANSWERS, bars=True)
    told = _told(step, reason, known)
    if reason == Reason.ROLLOUT_NOT_READY and told.get(CRASHED):
        return FailedGate(*what, Sort.ANSWERS, bars=True)
    return _by_figures(what, told, spec) if reason in REASONS.values() else None


def _by_figures(what: tuple[str, str, str], told: Mapping[str, object], spec: ServiceSpec) -> FailedGate | None:
    """What could not be compared says nothing about the release."""
    if DIFF not in told:
        return None
    verdicts = PredictionDiff.model_validate(told[DIFF]).verdicts
    missed = {name: one.gate for name, one in verdicts.items() if one.judged and not one.passed}
    if not missed:
        return None
    sort = Sort.FLIPS if FLIPS in missed else Sort.UNTOLD
    return FailedGate(*what, sort, True, missed, spec.gates.get(FLIPS))


def _told(step: str, reason: str, known: Sequence[LedgerEntry]) -> Mapping[str, object]:
    """What the record has with the newest failure of this step."""
    for entry in reversed(known):
        key = FactKey.parse(entry.key)
        if key and key.step == step and key.outcome == FAILED and entry.reason == reason:
            return entry.data
    return {}


def _written(gates: Mapping[str, Gate]) -> dict[str, str]:
    return {name: str(gate) for name, gate in gates.items()}
