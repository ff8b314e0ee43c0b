"""Comparisons of releases that tests start from."""

from __future__ import annotations

from typing import Any

from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.service_spec import Gate

GATES = {name: Gate.model_validate(gate) for name, gate in {"flips": "<= 5%", "p95": "<= 1.5x"}.items()}


def a_diff(**changes: Any) -> PredictionDiff:
    """Forty answers, of which three differ."""
    return PredictionDiff.model_validate(
        {
            "in_use": "digits-2026-11-21.1",
            "candidate": "digits-2026-11-21.2",
            "compared": 40,
            "flips": 3,
            "lost": 0,
            "flip_percent": 7.5,
            "sources": {"golden": 10, "recorded": 30},
            "classes": [{"before": "7", "after": "1", "count": 2}, {"before": "3", "after": "8", "count": 1}],
            "largest": [
                {
                    "name": "golden/7.png",
                    "source": "golden",
                    "sha256": "a" * 64,
                    "before": "7",
                    "after": "1",
                    "score_before": 0.98,
                    "score_after": 0.77,
                    "difference": 0.9,
                },
                {"name": "recorded 4", "source": "recorded", "before": "3", "after": "8", "difference": 0.4},
            ],
            "latency": {"pairs": 100, "in_use_p95": 12.0, "candidate_p95": 31.0, "ratio": 2.5833},
            "recorded": "30 recorded requests from 1 of 1 pods",
        }
        | changes
    )
