"""A service whose release a gate failed for, with a laboratory that knows what is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nightferry.entities.barring.blame import Blame
from nightferry.entities.candidate import Candidate
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import FactKey
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.judging.prediction_diff import DIFF
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Gate
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.blame.laboratory import Bench
from nightferry.steps.blame.look_into import look_into, release_to_blame
from nightferry.steps.judging.answers import Answers, Row
from nightferry.steps.judging.prediction_gates import judged
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import append
from nightferry.steps.record.record import record_failure, record_release

from tests.fakes.a_diff import a_diff
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.service_specs import digits_spec
from tests.fakes.worlds.deciding_world import ENVIRONMENTS, DecidingWorld

WRONG = "The image gets the model's golden examples wrong: 0.png should give 0, got 3."
QUESTIONS = 20
Broken = Callable[[str, bytes], bool]
"""Of a model's version and the app's code."""


class TickingLedger(MemoryLedger):
    """`before` is told of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], None] = lambda: None

    def _check(self) -> None:
        self.before()
        super()._check()


class MemoryLaboratory:
    """Images answer wrongly where `broken` says so; `fault` is what the next calls raise, `before` is told of each."""

    def __init__(self, world: BlameWorld) -> None:
        self._world = world
        self.broken: Broken = lambda model, code: False
        self.faults: dict[str, NightferryError] = {}
        """By the words of a combination: `two/old`; what finding its image raises."""
        self.started: dict[str, NightferryError] = {}
        """The same; what starting it raises."""
        self.tried: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.questions = QUESTIONS

    def image(self, candidate: Candidate) -> ImageRef:
        self.before()
        self.tried.append(self._named(candidate))
        if self.tried[-1] in self.faults:
            raise self.faults[self.tried[-1]]
        return ImageRef("registry/digits-candidates", "sha256:" + candidate.inputs_digest)

    def probe(self, candidate: Candidate, image: ImageRef) -> None:
        self.before()
        self._world.clock.advance(10)
        if self._named(candidate) in self.started:
            raise self.started[self._named(candidate)]
        if self._is_broken(candidate):
            raise Permanent(Reason.IMAGE_GOLDEN_WRONG, WRONG)

    def answers(self, candidate: Candidate, image: ImageRef) -> Answers:
        self.before()
        label = "7" if self._is_broken(candidate) else "1"
        return Answers(answers=tuple((Row(label=label, tolerance=0.001),) for _ in range(self.questions)))

    def _is_broken(self, candidate: Candidate) -> bool:
        return self.broken(candidate.model.version, self._code(candidate))

    def _named(self, candidate: Candidate) -> str:
        return f"{candidate.model.version}/{self._code(candidate).decode()}"

    def _code(self, candidate: Candidate) -> bytes:
        return self._world.source.commits[candidate.source.commit]["serving_app/app.py"]


class BlameWorld(DecidingWorld):
    """Model one with code `old` is in use."""

    def __init__(self, folder: Any) -> None:
        super().__init__(folder)
        self.ledger: TickingLedger = TickingLedger()
        self.spec = digits_spec(gates={"accuracy": ">= 0.95", "flips": "<= 5%"})
        self.laboratory = MemoryLaboratory(self)
        self.commit(b"old")
        self.night()

    def commit(self, app: bytes) -> None:
        """Push code."""
        self.source.commit("main", {"serving_app/app.py": app, "tests/serving_app/test_app.py": b"1"})

    def night(self, **request: object) -> Decision:
        """A day later: decide, and where there is a release let its gates look at it; then it ends."""
        self.clock.advance(86400)
        decision = self.decide(f"run:{self.clock.now()}", **request)
        if decision.release is None:
            return decision
        code = self.source.commits[decision.candidate.source.commit]["serving_app/app.py"]
        if self.laboratory.broken(decision.candidate.model.version, code):
            self.fail(decision)
            self.blame(decision)
            record_release(self.ledger, self.clock, decision, ENVIRONMENTS)
        else:
            self.release(decision)
        return decision

    def both_new(self) -> Decision:
        """Model two and code `new`, decided on and failed in the image's test."""
        self.publish("two", created="2026-11-21T12:00:00Z")
        self.commit(b"new")
        decision = self.decide("run:both")
        self.fail(decision)
        return decision

    def fail(
        self, decision: Decision, step: str = "test_image", reason: Reason = Reason.IMAGE_GOLDEN_WRONG
    ) -> tuple[str, str, str]:
        """Write down that a step failed for good; what Airflow would say of it."""
        record_failure(self.ledger, self.clock, decision, step, Permanent(reason, WRONG))
        return step, reason, WRONG

    def fail_flips(self, decision: Decision, *, enough: bool = True) -> tuple[str, str, str]:
        """Write down that staging's rollout missed the gate `flips`, or could not judge it."""
        diff = a_diff() if enough else a_diff(compared=3, flips=1)
        report = judged(diff, {"flips": Gate.model_validate("<= 5%")})
        append(
            self.ledger,
            self.clock,
            service="digits",
            kind=Kind.ROLLOUT,
            key=str(FactKey(str(decision.release), "staging.roll_out", "failed", 1)),
            release=decision.release,
            actor="ana",
            reason=Reason.GATE_FLIPS,
            sentence=WRONG,
            data={"step": "staging.roll_out", "permanent": True, DIFF: report.to_json()},
        )
        return "staging.roll_out", Reason.GATE_FLIPS, WRONG

    def blame(self, decision: Decision, failure: tuple[str, str, str] | None = None, seconds: float = 600) -> Blame:
        """What the task does."""
        failures = [failure or ("test_image", Reason.IMAGE_GOLDEN_WRONG, WRONG)]
        about = release_to_blame(decision, self.spec, failures, self.ledger)
        assert about is not None, "no gate failed"
        return look_into(about, Bench(self.laboratory, self.clock, seconds), self.ledger, self.clock)

    def blames(self, decision: Decision) -> list[LedgerEntry]:
        """The entries about it."""
        return [entry for entry in release_entries(self.ledger, str(decision.release)) if entry.kind == "blame"]
