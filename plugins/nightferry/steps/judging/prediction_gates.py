"""Hold a comparison of releases against the gates `flips` and `p95`. Missing data never passes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from nightferry.entities.judging.prediction_diff import PredictionDiff, Verdict
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import FLIPS, P95, Gate
from nightferry.errors import Permanent
from nightferry.steps.judging.prediction_diff import reasons

MINIMUM = 10
"""Answers that have to be compared: of fewer a share says nothing."""
MINIMUM_PAIRS = 20
"""Of fewer the slowest one would be the 95th percentile."""
NAMED = 3
REASONS = {FLIPS: Reason.GATE_FLIPS, P95: Reason.GATE_P95}
_MORE = (
    "Give the model more golden examples, record requests (SERVING_RECORD_REQUESTS), or leave the gate out of the "
    "service file"
)


def judged(diff: PredictionDiff, gates: Mapping[str, Gate]) -> PredictionDiff:
    """The comparison with what each gate came to."""
    verdicts = {}
    if FLIPS in gates:
        verdicts[FLIPS] = _flips(diff, gates[FLIPS])
    if P95 in gates:
        verdicts[P95] = _p95(diff, gates[P95])
    return diff.model_copy(update={"verdicts": verdicts})


def refuse_failed(diff: PredictionDiff) -> None:
    """Refuse a candidate that fails a gate; the sentence holds the figures of each gate that it fails.

    Raises:
        Permanent: (gate_flips, gate_p95)
    """
    failed = [name for name, verdict in diff.verdicts.items() if not verdict.passed]
    if failed:
        raise Permanent(REASONS[failed[0]], " ".join(diff.verdicts[name].sentence for name in failed))


def summary(diff: PredictionDiff) -> str:
    """What every gate came to, in one sentence or two."""
    return " ".join(verdict.sentence for verdict in diff.verdicts.values())


def _flips(diff: PredictionDiff, gate: Gate) -> Verdict:
    answered = diff.compared + diff.lost
    if answered < MINIMUM:
        return _missing(FLIPS, gate, f"{answered} answers could be compared and {MINIMUM} are needed", diff)
    passed = gate.passes(100 * (diff.flips + diff.lost) / answered)
    lost = f", {diff.lost} of them lost" if diff.lost else ""
    changes = ", ".join(f"{one.before} → {one.after}: {one.count}" for one in islice(diff.classes, NAMED))
    more = ", …" if len(diff.classes) > NAMED else ""
    figures = (
        f"{diff.flips + diff.lost} of {answered} answers ({diff.flip_percent:g} %{lost}) differ from those of "
        f"{diff.in_use}{f' ({changes}{more})' if changes else ''}"
    )
    return Verdict(gate=str(gate), passed=passed, sentence=_sentence(FLIPS, gate, passed, figures))


def _p95(diff: PredictionDiff, gate: Gate) -> Verdict:
    found = diff.latency
    if found is None or found.pairs < MINIMUM_PAIRS:
        pairs = found.pairs if found else 0
        return _missing(P95, gate, f"{pairs} pairs of answers could be timed and {MINIMUM_PAIRS} are needed", diff)
    passed = gate.passes(found.ratio)
    figures = (
        f"95 % of {found.pairs} answers came within {found.candidate_p95:.4g} ms, those of {diff.in_use} within "
        f"{found.in_use_p95:.4g} ms: {found.ratio:.3g} times"
    )
    return Verdict(gate=str(gate), passed=passed, sentence=_sentence(P95, gate, passed, figures))


def _sentence(name: str, gate: Gate, passed: bool, figures: str) -> str:
    return f"The gate {name} {gate} is {'met' if passed else 'not met'}: {figures}."


def _missing(name: str, gate: Gate, why: str, diff: PredictionDiff) -> Verdict:
    left = "; ".join(reasons(diff.not_comparable))
    sentence = f"The gate {name} {gate} cannot be judged: {why}{f' ({left})' if left else ''}. {_MORE}."
    return Verdict(gate=str(gate), passed=False, judged=False, sentence=sentence)
