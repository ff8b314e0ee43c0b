"""Try one combination of code and model: its image is started by itself and asked what the failed gate was about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nightferry.clients.clock import Clock
from nightferry.entities.barring.blame import Trial
from nightferry.entities.candidate import Candidate
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.service_spec import Gate
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.blame.failed_gate import ANSWERS
from nightferry.steps.judging.answers import Answers, flips_between

TryOut = Callable[[Candidate], Trial]


class Laboratory(Protocol):
    """Where images are found, built and asked; none of them is ever released from here."""

    def image(self, candidate: Candidate) -> ImageRef:
        """The candidate's image, built where there is none. Raises as `build_image`, and `fetch_model`."""
        ...

    def probe(self, candidate: Candidate, image: ImageRef) -> None:
        """Start it, and ask it the golden examples of its model and the checks of its app.

        Raises as `start_candidate`, `wait_ready` and `explain_probe`.
        """
        ...

    def answers(self, candidate: Candidate, image: ImageRef) -> Answers:
        """Start it, and have it answer the golden examples of the release that failed. Raises as `probe`."""
        ...


class Bench:
    """Tries combinations one after the other, until the time is over."""

    def __init__(self, laboratory: Laboratory, clock: Clock, seconds: float) -> None:
        """Store where to try, and for how long."""
        self._laboratory = laboratory
        self._clock = clock
        self._deadline = clock.monotonic() + seconds
        self._before: Answers | None = None

    def probed(self, candidate: Candidate) -> Trial:
        """Whether the image answers rightly."""
        return self._tried(candidate, self._probe)

    def compared(self, gate: Gate) -> TryOut:
        """Whether the image answers as the first one that is tried; that one is the release in use."""

        def look(candidate: Candidate, image: ImageRef) -> str:
            found = self._laboratory.answers(candidate, image)
            if self._before is None and not found.trouble:
                self._before = found
            flips = flips_between(self._before or found, found)
            if found.trouble or gate.passes(flips.percent):
                return found.trouble
            return f"{flips.flipped} of {flips.answered} answers ({flips.percent:.3g} %) differ from those in use."

        return lambda candidate: self._tried(candidate, look)

    @property
    def answered(self) -> bool:
        """Whether the release in use gave enough answers to compare others with."""
        return self._before is not None and flips_between(self._before, self._before).judged

    def _probe(self, candidate: Candidate, image: ImageRef) -> str:
        try:
            self._laboratory.probe(candidate, image)
        except Permanent as fault:
            if fault.reason not in ANSWERS:
                raise
            return fault.sentence
        return ""

    def _tried(self, candidate: Candidate, look: Callable[[Candidate, ImageRef], str]) -> Trial:
        words = {"code": f"source {candidate.source.commit[:8]}", "model": f"model {candidate.model.version}"}
        if self._clock.monotonic() >= self._deadline:
            return Trial(**words, passed=None, sentence="There was no time left.")
        try:
            wrong = look(candidate, self._laboratory.image(candidate))
        except NightferryError as fault:
            return Trial(**words, passed=None, sentence=fault.sentence)
        return Trial(**words, passed=not wrong, sentence=wrong)
