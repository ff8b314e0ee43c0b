"""How a release's end is recorded."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry.entities.candidate import Candidate, PinnedSource
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.history import history, release_entries
from nightferry.steps.record.record import expected_steps, record_failure, record_release, record_step

from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.still_clock import StillClock

CANDIDATE = Candidate(
    service="digits",
    model=PinnedModel(version="one", sha256="a" * 64, created="2026-11-20T00:00:00Z", size=1, etags={}),
    source=PinnedSource(repository=".", ref="main", commit="b" * 40, tree="c" * 40, path="serving_app"),
    base_image="base@sha256:" + "1" * 64,
    recipe="2" * 64,
)
DECISION = Decision(
    key="night:2026-11-21",
    service="digits",
    go=True,
    reason=Reason.FIRST_RELEASE,
    sentence="First.",
    actor="schedule",
    release="digits-2026-11-21.1",
    candidate=CANDIDATE,
    request=ReleaseRequest(),
)
ENVIRONMENTS = ("staging", "production")
STEPS = expected_steps(ENVIRONMENTS)


class Book:
    """A ledger with the decision in it."""

    def __init__(self) -> None:
        self.ledger, self.clock = MemoryLedger(), StillClock()
        ledgers.append(
            self.ledger,
            self.clock,
            service="digits",
            kind=Kind.DECISION,
            key=DECISION.key,
            release=DECISION.release,
            actor=DECISION.actor,
            reason=DECISION.reason,
            sentence=DECISION.sentence,
            data=DECISION.to_json(),
        )

    def step(self, name: str, **facts: Any) -> None:
        self.clock.advance(10)
        record_step(self.ledger, self.clock, DECISION, name, sentence=f"{name} is done.", seconds=9.96, **facts)

    def fail(self, name: str, error: Permanent | Temporary, attempt: int | None = None) -> None:
        record_failure(self.ledger, self.clock, DECISION, name, error, attempt=attempt)

    def close(self) -> Any:
        return record_release(self.ledger, self.clock, DECISION, ENVIRONMENTS)


@pytest.fixture
def book() -> Book:
    return Book()


def test_the_steps_of_a_release():
    assert STEPS == (
        "test_source",
        "fetch_model",
        "check_model",
        "build_image",
        "test_image",
        "publish_image",
        "staging.roll_out",
        "staging.verify",
        "production.roll_out",
        "production.verify",
    )


def test_all_steps_done_is_released(book: Book):
    for step in STEPS:
        book.step(step, data={"image": "repo@sha256:x"} if step == "publish_image" else None)
    closing = book.close()
    assert (closing.kind, closing.key, closing.reason) == (
        Kind.RELEASE,
        "digits-2026-11-21.1/release",
        Reason.RELEASED,
    )
    assert closing.data["image"] == "repo@sha256:x"
    assert closing.data["seconds"] == dict.fromkeys(STEPS, 10.0)
    assert closing.data["total_seconds"] == 100
    assert closing.data["inputs_digest"] == CANDIDATE.inputs_digest
    assert Candidate.model_validate(closing.data["candidate"]) == CANDIDATE
    assert "one" in closing.sentence


def test_the_last_failure_is_the_reason(book: Book):
    book.step("fetch_model")
    book.fail("check_model", Permanent(Reason.GATE_FAILED, "Accuracy is 0.5."))
    closing = book.close()
    assert (closing.reason, closing.sentence) == (Reason.GATE_FAILED, "check_model failed: Accuracy is 0.5.")


def test_a_failure_that_a_retry_mended_does_not_count(book: Book):
    book.fail("fetch_model", Temporary(Reason.STORAGE_UNAVAILABLE, "Down."), attempt=1)
    for step in STEPS:
        book.step(step)
    assert book.close().reason == Reason.RELEASED


def test_neither_done_nor_failed_is_interrupted(book: Book):
    book.step("test_source")
    book.step("fetch_model")
    closing = book.close()
    assert closing.reason == Reason.INTERRUPTED
    assert "check_model" in closing.sentence


def test_recording_again_changes_nothing(book: Book):
    book.step("fetch_model")
    book.step("fetch_model")
    assert book.close() == book.close()
    assert len(book.ledger.blobs) == 3


def test_a_release_that_is_taken_up_again_ends_anew(book: Book):
    book.fail("check_model", Permanent(Reason.GATE_FAILED, "Accuracy is 0.5."))
    book.close()
    for step in STEPS:
        book.step(step)
    closing = book.close()
    assert (closing.reason, closing.key) == (Reason.RELEASED, "digits-2026-11-21.1/release/2")
    assert book.close() == closing
    (line,) = history(book.ledger, "digits")
    assert line.outcome == Reason.RELEASED


def test_what_was_not_to_be_released_has_no_end(book: Book):
    no = DECISION.model_copy(update={"go": False, "release": None})
    assert record_release(book.ledger, book.clock, no, ENVIRONMENTS) is None
    assert len(book.ledger.blobs) == 1


def test_a_running_release_has_no_outcome_yet(book: Book):
    book.step("fetch_model")
    (line,) = history(book.ledger, "digits")
    assert (line.release, line.outcome, line.ended) == ("digits-2026-11-21.1", None, None)
    assert (line.model, line.source) == ("one", "b" * 40)


def test_a_release_is_shown_from_its_decision_on(book: Book):
    book.step("fetch_model")
    assert [entry.key for entry in release_entries(book.ledger, "digits-2026-11-21.1")] == [
        "night:2026-11-21",
        "digits-2026-11-21.1/fetch_model",
    ]


@pytest.mark.parametrize("name", ["digits-2026-11-21.2", "letters-2026-11-21.1", "digits", ""])
def test_an_unknown_release(book: Book, name: str):
    with pytest.raises(Permanent) as failure:
        release_entries(book.ledger, name)
    assert failure.value.reason == Reason.RELEASE_UNKNOWN


def test_a_whole_release_is_a_whole_chain(book: Book):
    for step in STEPS:
        book.step(step)
    book.close()
    assert ledgers.verify(book.ledger, "digits").count == len(STEPS) + 2
