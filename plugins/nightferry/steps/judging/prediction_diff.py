"""Ask the release in use and a candidate the same, one request at a time, and say how their answers differ.

Each request goes to both in turn, and who is first changes, so that whatever slows the cluster down for a moment slows
both. Requests are repeated until enough pairs are timed; the first pairs, for which connections are opened, do not
count.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nightferry.clients.clock import Clock
from nightferry.clients.service_client import Answer, Unanswered
from nightferry.entities.judging.prediction_diff import AnswerChange, ClassChange, Latency, PredictionDiff
from nightferry.steps.judging.compare_answers import Compared, compare
from nightferry.steps.judging.questions import NoAnswer, Question, Said, Side

SECONDS = 60.0
"""For everything: a rollout waits for it."""
PAIRS = 200
"""That are timed."""
WARM_UP = 3
"""Pairs that are not timed."""
LARGEST = 10
CLASSES = 40
SHOWN = 80
"""Characters of a class."""
NO_ANSWER = "no answer"
BUSY = 503
AGAIN_SECONDS = 0.5


@dataclass
class _Tally:
    """What was found so far."""

    compared: Counter[str] = field(default_factory=Counter)
    flips: int = 0
    lost: int = 0
    classes: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: list[AnswerChange] = field(default_factory=list)
    not_comparable: Counter[str] = field(default_factory=Counter)
    repeatable: list[Question] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)
    """Of the release in use and of the candidate, seconds."""


def compare_predictions(
    questions: Sequence[Question],
    in_use: Side,
    candidate: Side,
    clock: Clock,
    *,
    names: tuple[str, str],
    seconds: float = SECONDS,
    pairs: int = PAIRS,
) -> PredictionDiff:
    """Ask both everything once, and then again for the times.

    Args:
        questions: what to ask.
        in_use: the release that users get.
        candidate: the one that nobody uses yet.
        clock: for the times.
        names: of the two releases.
        seconds: how long it may take; what was not asked by then is counted.
        pairs: how many are timed.
    """
    start = clock.monotonic()
    tally = _Tally()
    asker = _Asker(in_use, candidate, clock)
    for number, question in enumerate(questions):
        if clock.monotonic() - start >= seconds:
            tally.not_comparable["not asked, since the time was over"] += len(questions) - number
            break
        _ask(asker, question, tally)
    for question in itertools.cycle(tally.repeatable):
        if clock.monotonic() - start >= seconds or len(tally.times) >= pairs + WARM_UP:
            break
        pair = asker.ask(question)
        if pair.seconds:
            tally.times.append(pair.seconds)
    return _diff(tally, names, clock.monotonic() - start)


@dataclass(frozen=True)
class _Pair:
    """What both said to one question."""

    in_use: Sequence[Said] | None
    candidate: Sequence[Said] | None
    silent: str = ""
    """How the candidate did not answer."""
    seconds: tuple[float, float] | None = None
    """None: one of them did not answer."""


class _Asker:
    """Asks both in turn."""

    def __init__(self, in_use: Side, candidate: Side, clock: Clock) -> None:
        self._sides = (in_use, candidate)
        self._clock = clock
        self._asked = 0

    def ask(self, question: Question) -> _Pair:
        self._asked += 1
        order = (0, 1) if self._asked % 2 else (1, 0)
        said: list[Sequence[Said] | None] = [None, None]
        taken, silent = [0.0, 0.0], ""
        for which in order:
            side = self._sides[which]
            try:
                answer, taken[which] = self._timed(question, side)
                said[which] = question.read(side, answer)
            except (Unanswered, NoAnswer) as fault:
                # An answer that never came says why in the client's words, which hold nothing of what was asked.
                silent = f"{NO_ANSWER} ({fault})" if which else silent
        both = said[0] is not None and said[1] is not None
        return _Pair(said[0], said[1], silent, (taken[0], taken[1]) if both else None)

    def _timed(self, question: Question, side: Side) -> tuple[Answer, float]:
        """The answer and its seconds; once more where a connection broke, or the service was busy for a moment."""
        try:
            answer, seconds = self._once(question, side)
            if answer.status != BUSY:
                return answer, seconds
        except Unanswered:
            pass
        self._clock.sleep(AGAIN_SECONDS)
        return self._once(question, side)

    def _once(self, question: Question, side: Side) -> tuple[Answer, float]:
        start = self._clock.monotonic()
        return question.ask(side), self._clock.monotonic() - start


def _ask(asker: _Asker, question: Question, tally: _Tally) -> None:
    pair = asker.ask(question)
    if pair.in_use is None:
        tally.not_comparable[f"the one in use gave {NO_ANSWER}" if pair.candidate else "neither answered"] += 1
        return
    if pair.candidate is None or len(pair.candidate) != len(pair.in_use):
        _lose(question, pair, tally)
        return
    tally.repeatable.append(question)
    if pair.seconds:
        tally.times.append(pair.seconds)
    for row, (before, after) in enumerate(zip(pair.in_use, pair.candidate, strict=True)):
        found = compare(before, after)
        tally.compared[question.source] += 1
        if found.flipped:
            tally.flips += 1
            tally.classes[_short(found.before), _short(found.after)] += 1
        if found.changed:
            name = question.name if len(pair.in_use) == 1 else f"{question.name}, row {row}"
            _note(tally, _change(question, name, found))


def _lose(question: Question, pair: _Pair, tally: _Tally) -> None:
    """The candidate leaves callers without what they get now."""
    how = pair.silent or f"{NO_ANSWER} (another number of rows)"
    for said in pair.in_use or ():
        tally.lost += 1
        tally.classes[_short(said.label), _short(how)] += 1
        score = said.scores.get(said.label)
        _note(tally, _change(question, question.name, Compared(said.label, how, True, True, score, None, None)))


def _change(question: Question, name: str, found: Compared) -> AnswerChange:
    return AnswerChange(
        name=name,
        source=question.source,
        sha256=question.sha256,
        before=_short(found.before),
        after=_short(found.after),
        score_before=_rounded(found.score_before),
        score_after=_rounded(found.score_after),
        difference=_rounded(found.difference),
    )


def _note(tally: _Tally, change: AnswerChange) -> None:
    """Keep the largest changes alone: requests may be many."""
    tally.changes.append(change)
    if len(tally.changes) > 20 * LARGEST:
        tally.changes = _largest(tally.changes)


def _largest(changes: Sequence[AnswerChange]) -> list[AnswerChange]:
    return sorted(changes, key=_size, reverse=True)[:LARGEST]


def _size(change: AnswerChange) -> tuple[float, bool]:
    """An answer that is lost, or has no numbers, changed as much as one can."""
    if change.difference is None:
        return (math.inf, True) if change.flipped else (0.0, False)
    return change.difference, change.flipped


def _diff(tally: _Tally, names: tuple[str, str], seconds: float) -> PredictionDiff:
    compared = sum(tally.compared.values())
    answered = compared + tally.lost
    classes = tally.classes.most_common()
    return PredictionDiff(
        in_use=names[0],
        candidate=names[1],
        compared=compared,
        flips=tally.flips,
        lost=tally.lost,
        flip_percent=round(100 * (tally.flips + tally.lost) / answered, 3) if answered else 0.0,
        sources=dict(tally.compared),
        not_comparable=dict(tally.not_comparable),
        classes=tuple(ClassChange(before=a, after=b, count=count) for (a, b), count in classes[:CLASSES]),
        other_flips=sum(count for _, count in classes[CLASSES:]),
        largest=tuple(_largest(tally.changes)),
        latency=_latency(tally.times[WARM_UP:]),
        seconds=round(seconds, 1),
    )


def _latency(times: Sequence[tuple[float, float]]) -> Latency | None:
    if not times:
        return None
    in_use, candidate = (p95([pair[which] for pair in times]) for which in (0, 1))
    if not in_use:  # a clock that does not tell so little
        return None
    return Latency(
        pairs=len(times),
        in_use_p95=round(in_use * 1000, 3),
        candidate_p95=round(candidate * 1000, 3),
        ratio=round(candidate / in_use, 4),
    )


def p95(values: Sequence[float]) -> float:
    """The smallest of the values that 95 % of them do not exceed (nearest rank)."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 6)


def reasons(not_comparable: Mapping[str, int]) -> Iterator[str]:
    """`2: neither answered`, the most frequent first."""
    for reason, count in sorted(not_comparable.items(), key=lambda item: -item[1]):
        yield f"{count}: {reason}"
