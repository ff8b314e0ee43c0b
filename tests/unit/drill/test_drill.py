"""The drill does not lie: a fault passes only where all that was said beforehand is so."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from nightferry.drill import drill as drilling
from nightferry.drill.callers import Span, Traffic
from nightferry.drill.catalogue import FAULTS, chosen
from nightferry.drill.drill import FAILED, NOT_TRIED, PASSED, Drill, Production, Row
from nightferry.drill.fault import Allows, Unseen
from nightferry.drill.faults.base import Standard, refusal, rolled_out
from nightferry.drill.report import markdown, record_drill, summary, well
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.record.ledger import verify
from nightferry.steps.record.state import read_state

from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.still_clock import StillClock

ONE, TWO = "digits-2026-11-29.9001", "digits-2026-11-29.9002"


class Sandbox:
    """A machine of which some parts cannot be taken away."""

    def refused(self, part: str) -> str:
        return f"{part} is not ours." if part == "registry" else ""


class Copy:
    """As much of a trial as the frame asks for."""

    def __init__(self) -> None:
        self.good, self.candidate, self.machine = ONE, TWO, Sandbox()
        self.ongoing: Future[None] | None = None
        self.service = "digits"

    def known(self) -> tuple[Any, list[Any]]:
        return None, []

    def address(self) -> str:
        return "http://127.0.0.1:80"

    def in_use(self) -> str:
        return self.good


class Broken(Standard):
    """A fault that does what the test says."""

    healed = 0

    def inject(self, trial: Any) -> None:
        pass

    def see(self, trial: Any) -> str:
        return "It was seen."

    def heal(self, trial: Any) -> None:
        type(self).healed += 1


class Asking:
    """Callers who saw this."""

    def __init__(self, *, right: bool = True, **seen: Any) -> None:
        self.traffic, self._right = Traffic(asked=100, **seen), right

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def await_asked(self, more: int) -> bool:
        return True

    def await_right(self, more: int) -> bool:
        return self._right


def wrong_for(seconds: float) -> Asking:
    return Asking(wrong=2, words=["7"], wrongs=Span(1.0, 1.0 + seconds))


def failing_for(seconds: float) -> Asking:
    return Asking(failed=2, words=["reset"], failures=Span(1.0, 1.0 + seconds))


@pytest.fixture
def frame(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Row]:
    """Runs a fault in a world in which everything is well but for what is given."""

    def run(fault: Any = None, **world: Any) -> Row:
        fault = fault or Broken(name="broken", says="It breaks.", allows=world.get("allows", Allows()))
        monkeypatch.setattr(drilling, "Callers", lambda *_: world.get("callers", Asking()))
        monkeypatch.setattr(drilling, "is_back", lambda *_: world.get("back", True))
        monkeypatch.setattr(drilling, "wait", lambda trial, done, seconds: done())
        monkeypatch.setattr(drilling, "duplicates", lambda _: world.get("duplicates", []))
        monkeypatch.setattr(drilling, "orphans", lambda _: world.get("orphans", []))
        monkeypatch.setattr(Drill, "_fresh", lambda drill: None)
        production = Production(lambda: world.get("users", Asking()), lambda: world.get("changed", False))
        drill = Drill(Copy(), production, lambda _: None)  # type: ignore[arg-type]
        return drill.run([fault])[0]

    return run


def test_all_well_is_passed(frame: Callable[..., Row]) -> None:
    row = frame()
    assert (row.result, row.why, row.seen) == (PASSED, "", "It was seen.")


@pytest.mark.parametrize(
    ("world", "said"),
    [
        pytest.param({"callers": Asking(failed=1, words=["reset"])}, "1 of 100 requests failed", id="a failure"),
        pytest.param({"callers": Asking(wrong=1, words=["7"])}, "1 answers were wrong", id="a wrong answer"),
        pytest.param({"users": Asking(wrong=1, words=["7"])}, "Production answered wrongly", id="production wrong"),
        pytest.param({"users": Asking(failed=1, words=["reset"])}, "requests of production", id="production failing"),
        pytest.param({"back": False}, "was not in use again", id="not back"),
        pytest.param({"duplicates": ["fact x"]}, "Done twice: fact x", id="twice"),
        pytest.param({"orphans": ["pod y"]}, "Left behind: pod y", id="left"),
        pytest.param({"callers": Asking(right=False)}, "callers were not answered rightly again", id="still wrong"),
        pytest.param({"users": Asking(right=False)}, "users were not answered rightly again", id="production still"),
        pytest.param(
            {"allows": Allows(wrong_seconds=5), "callers": wrong_for(6)},
            "2 answers were wrong, within 6.0 s; allowed: copy: at most 5 s of wrong answers",
            id="wrong for longer than allowed",
        ),
        pytest.param(
            {"allows": Allows(production_seconds=5), "users": failing_for(6)},
            "2 of 100 requests of production failed, within 6.0 s",
            id="production failing for longer than allowed",
        ),
        pytest.param(
            {"allows": Allows(wrong_seconds=5, production_seconds=5), "callers": failing_for(1)},
            "2 of 100 requests failed, and none may",
            id="what production may see the copy may not",
        ),
        pytest.param(
            {"allows": Allows(wrong_seconds=5), "users": wrong_for(1)}, "Production answered wrongly", id="never there"
        ),
    ],
)
def test_a_fault_passes_only_where_everything_is_as_it_was_said(
    frame: Callable[..., Row], world: dict[str, Any], said: str
) -> None:
    row = frame(**world)
    assert row.result == FAILED
    assert said in row.why


def test_what_is_allowed_is_no_failure(frame: Callable[..., Row]) -> None:
    row = frame(allows=Allows(wrong_seconds=5, production_seconds=5), callers=wrong_for(3), users=failing_for(4))
    assert (row.result, row.wrong_seconds, row.production_failing_seconds) == (PASSED, 3.0, 4.0)


def test_what_may_be_seen_is_said_beforehand() -> None:
    assert Allows().sentence == "nothing"
    assert {one.name: one.allows.sentence for one in FAULTS if one.allows != Allows()} == {
        "wrong once it is used": "copy: at most 30 s of wrong answers",
        "gateway killed": "production: at most 15 s of failures",
    }


def test_a_release_that_came_into_use_meanwhile_answers_otherwise_and_is_not_wrong(frame: Callable[..., Row]) -> None:
    assert frame(users=Asking(wrong=9, words=["7"]), changed=True).result == PASSED


def test_one_that_nobody_saw_has_failed_and_is_healed(frame: Callable[..., Row]) -> None:
    class Silent(Broken):
        def see(self, trial: Any) -> str:
            raise Unseen("Nobody noticed.")

    before = Silent.healed
    row = frame(Silent(name="silent", says="Nothing."))
    assert (row.result, row.why) == (FAILED, "Nobody noticed.")
    assert Silent.healed == before + 1


def test_what_cannot_be_taken_away_is_told(frame: Callable[..., Row]) -> None:
    class Stuck(Broken):
        def heal(self, trial: Any) -> None:
            raise Temporary(Reason.SANDBOX_FAILED, "envoy does not do its work again.")

    row = frame(Stuck(name="stuck", says="It stays."))
    assert (row.result, row.why) == (FAILED, "envoy does not do its work again.")


def test_what_the_machine_does_not_allow_is_not_tried_and_says_why(frame: Callable[..., Row]) -> None:
    row = frame(Broken(name="registry down", says="It is stopped.", parts=("registry",)))
    assert (row.result, row.why, row.asked) == (NOT_TRIED, "registry is not ours.", 0)


def ended(fault: BaseException | None) -> Any:
    copy = Copy()
    copy.ongoing = Future()
    if fault:
        copy.ongoing.set_exception(fault)
    else:
        copy.ongoing.set_result(None)
    return copy


def test_a_refusal_has_to_be_the_right_one() -> None:
    crashed = Permanent(Reason.ROLLOUT_NOT_READY, "Pod x crashes: this release crashes")
    expected = frozenset({Reason.ROLLOUT_NOT_READY})
    assert refusal(ended(crashed), expected, "this release crashes") == crashed.sentence
    for end, told in (
        (None, ""),
        (Temporary(Reason.CLUSTER_UNAVAILABLE, "no answer"), ""),
        (crashed, "OOMKilled"),
        (RuntimeError("a fault of ours"), ""),
    ):
        with pytest.raises(Unseen):
            refusal(ended(end), expected, told)
    with pytest.raises(Unseen):
        rolled_out(ended(crashed))


def test_faults_are_chosen_by_name_and_a_wrong_name_is_told() -> None:
    assert [one.name for one in chosen(["crashes", "pod deleted"], quick=False)] == ["crashes", "pod deleted"]
    assert {one.name for one in chosen([], quick=True)} < {one.name for one in FAULTS}
    assert all(not one.parts for one in chosen([], quick=True))
    assert len({one.name for one in FAULTS}) == len(FAULTS)
    with pytest.raises(Permanent, match="no fault 'crash'"):
        chosen(["crash"], quick=False)


def rows() -> list[Row]:
    return [
        Row("crashes", "It crashes.", "nothing", PASSED, seen="x" * 5000, seconds_to_see=4.2, seconds_to_be_back=0.1),
        Row("registry down", "It is stopped.", "nothing", NOT_TRIED, "registry | is not ours."),
        Row("pod deleted", "It goes.", "nothing", FAILED, "3 of 100 requests failed.", asked=100, failed=3),
    ]


def test_the_table_says_what_passed_what_failed_and_why() -> None:
    lines = markdown(rows()).splitlines()
    assert lines[2].startswith("| crashes | nothing | passed |")
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert "* pod deleted, failed: 3 of 100 requests failed." in lines
    assert summary(rows()) == "1 of 2 faults passed, 1 were not tried. pod deleted: 3 of 100 requests failed."


def test_only_what_was_tried_and_passed_is_well() -> None:
    passed, untried, failed = rows()
    assert well([passed, untried])
    assert not well([untried])
    assert not well([passed, failed])
    assert not well([])


def test_the_record_has_the_table_and_decides_nothing() -> None:
    ledger, clock = MemoryLedger(), StillClock()
    words = {"service": "digits", "release": ONE, "actor": "ana"}
    entry = record_drill(ledger, clock, rows=rows(), **words)
    assert (entry.kind, entry.reason, entry.release) == (Kind.DRILL, Reason.DRILL_FAILED, None)
    assert [one["result"] for one in entry.data["faults"]] == [PASSED, NOT_TRIED, FAILED]
    assert len(entry.to_bytes()) < 5000
    state = read_state(ledger, "digits")
    assert (state.traffic, state.open, state.decided) == ({}, None, {})
    verify(ledger, "digits")
