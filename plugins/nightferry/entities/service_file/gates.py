"""What `gates` of a service file may say: thresholds of the model's metrics, and of the comparison with the release in
use."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from nightferry.entities.service_spec import FLIPS, P95, PREDICTION_GATES, Gate

_METRIC = re.compile(r"[A-Za-z][-_.@A-Za-z0-9]{0,79}")
_WRITTEN = {
    FLIPS: 'a share of the answers, which may differ from those of the release in use: write it like "<= 5%"',
    P95: 'a multiple of the time that the release in use takes: write it like "<= 1.5x"',
}


def gates_faults(gates: Mapping[str, Gate]) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it, for each gate that nothing could be held against."""
    for name, gate in gates.items():
        fault = _prediction_fault(name, gate) if name in PREDICTION_GATES else _metric_fault(name, gate)
        if fault:
            yield f"gates.{name}", fault


def _prediction_fault(name: str, gate: Gate) -> str | None:
    if gate.unit != PREDICTION_GATES[name]:
        return f"{name} is {_WRITTEN[name]}"
    if gate.comparison not in ("<=", "<"):
        return f"{name} may be small, never too small: only <= and < can be asked for, not {gate.comparison}"
    if name == FLIPS and not 0 <= gate.threshold <= 100:
        return f"{gate} is no share: give 0% to 100%"
    if gate == Gate(comparison="<", threshold=0.0, unit=gate.unit):
        return f"nothing passes {gate}"
    if name == P95 and not (math.isfinite(gate.threshold) and gate.threshold > 0):
        return f"nothing passes {gate}, or everything does: give a multiple above 0"
    return None


def _metric_fault(name: str, gate: Gate) -> str | None:
    if not _METRIC.fullmatch(name):
        return "a metric's name begins with a letter and has letters, digits, and any of - _ . @"
    if gate.unit:
        return f'a metric is a number as model.json has it, without {gate.unit}: write it like ">= 0.95"'
    if not math.isfinite(gate.threshold):
        return f"no model passes {gate}, or every one does; give a number"
    return None if name != "accuracy" else _share_fault(gate)


def _share_fault(gate: Gate) -> str | None:
    return None if gate.passes(0.0) or gate.passes(1.0) else f"no model passes {gate}: an accuracy is between 0 and 1"
