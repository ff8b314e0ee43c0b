"""How a release's answers differ from those of the release in use before it, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from pydantic import ValidationError

from nightferry.entities.judging.prediction_diff import DIFF, AnswerChange, PredictionDiff
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.steps.judging.prediction_diff import reasons

CHANGES = 5
"""Kinds of changes, and single ones, that are shown as lines; the page shows all."""


def diffs_of(entries: Sequence[LedgerEntry]) -> dict[str, PredictionDiff]:
    """By environment the last comparison on record. What a newer version wrote in another form is left out."""
    found: dict[str, PredictionDiff] = {}
    for entry in entries:
        if DIFF in entry.data:
            try:
                found[str(entry.data.get("environment", ""))] = PredictionDiff.model_validate(entry.data[DIFF])
            except ValidationError:
                continue
    return found


def diff_lines(diffs: Mapping[str, PredictionDiff]) -> Iterator[str]:
    """What people read of them."""
    for environment, diff in diffs.items():
        yield f"{environment} compared with {diff.in_use}: {figures(diff)}"
        for line in _details(diff):
            yield f"  {line}"


def figures(diff: PredictionDiff) -> str:
    """How many answers differ, and of what."""
    total = diff.compared + diff.lost
    sources = ", ".join(f"{name} {count}" for name, count in diff.sources.items())
    lost = f", {diff.lost} of them lost" if diff.lost else ""
    return f"{diff.flips + diff.lost} of {total} answers differ, {diff.flip_percent:g} %{lost} ({sources or 'none'})"


def _details(diff: PredictionDiff) -> Iterator[str]:
    for name, verdict in diff.verdicts.items():
        word = "met" if verdict.passed else "not met" if verdict.judged else "not judged, so not met"
        yield f"gate {name} {verdict.gate}: {word}"
    if diff.latency:
        yield latency_of(diff)
    if diff.classes:
        shown = ", ".join(f"{one.before} → {one.after}: {one.count}" for one in islice(diff.classes, CHANGES))
        yield f"changes {shown}{', …' if len(diff.classes) > CHANGES else ''}"
    for change in islice(diff.largest, CHANGES):
        yield f"{change.name}: {said(change)}"
    yield from (f"not compared {reason}" for reason in reasons(diff.not_comparable))
    if diff.recorded:
        yield diff.recorded


def latency_of(diff: PredictionDiff) -> str:
    """The times of both."""
    found = diff.latency
    if found is None:
        return "no times"
    return (
        f"p95 {found.candidate_p95:.4g} ms, in use {found.in_use_p95:.4g} ms: {found.ratio:.3g} times, over "
        f"{found.pairs} pairs"
    )


def said(change: AnswerChange) -> str:
    """`7 (98.1 %) → 1 (77.0 %)`."""
    return f"{change.before}{_sure(change.score_before)} → {change.after}{_sure(change.score_after)}"


def _sure(score: float | None) -> str:
    return "" if score is None else f" ({100 * score:.1f} %)"
