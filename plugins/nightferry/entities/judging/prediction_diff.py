"""How the answers of a release that nobody uses yet differ from those of the one in use, for the record.

No input is in it: a golden example is named, with the sha256 of what was asked; a recorded request has a number alone.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nightferry.entities.frozen import Recorded

DIFF = "prediction_diff"
"""The member of a rollout's entry that holds the comparison."""
Source = Literal["golden", "check", "recorded"]
"""Where a request comes from: the new model's golden examples, the checks of an app, what users asked lately."""


class ClassChange(Recorded):
    """How many answers changed from one class to another."""

    before: str
    after: str
    count: int


class AnswerChange(Recorded):
    """One answer that changed."""

    name: str
    """The golden example's, as `golden/7.png`; `recorded 12`, of which nothing else is told."""
    source: Source
    sha256: str = ""
    """Of what was asked; empty for recorded requests."""
    before: str
    after: str
    score_before: float | None = None
    """How sure the one in use is of its class, 0 to 1; None: it does not say."""
    score_after: float | None = None
    """How sure the candidate is of its own."""
    difference: float | None = None
    """The largest difference of a score, or of a number of an answer that has no classes."""

    @property
    def flipped(self) -> bool:
        """Whether the class changed."""
        return self.before != self.after


class Latency(Recorded):
    """The time that both take for the same requests, asked in turn; milliseconds, nearest rank."""

    pairs: int
    in_use_p95: float
    candidate_p95: float
    ratio: float


class Verdict(Recorded):
    """What a gate came to."""

    gate: str
    """As the service file has it: `<= 5%`."""
    passed: bool
    judged: bool = True
    """False: too little could be compared. That never passes."""
    sentence: str


class PredictionDiff(Recorded):
    """The comparison of a candidate with the release in use. Its size is bounded: it is kept for ever."""

    in_use: str
    candidate: str
    compared: int
    """Answers that both gave; one for each row of a request."""
    flips: int
    """Of these, in how many the class differs, or the answer of what has no classes."""
    lost: int
    """Answers that the one in use gave and the candidate did not. They count as flips."""
    flip_percent: float
    """Flips and lost ones, of all that the one in use answered."""
    sources: dict[str, int] = Field(default_factory=dict)
    """Where what was compared comes from: source -> answers."""
    not_comparable: dict[str, int] = Field(default_factory=dict)
    """Why requests could not be compared: reason -> requests."""
    recorded: str = ""
    """What became of recorded requests, as a sentence; empty: they were not asked for."""
    classes: tuple[ClassChange, ...] = ()
    """The most frequent changes, most frequent first."""
    other_flips: int = 0
    """Those of changes that are not among them."""
    largest: tuple[AnswerChange, ...] = ()
    """The largest changes, largest first; some may not have changed the class."""
    latency: Latency | None = None
    seconds: float = 0.0
    verdicts: dict[str, Verdict] = Field(default_factory=dict)
    """By gate."""
