"""What other doings around a release that waits for people must not do to their answers."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.steps.admission.admit import admit
from nightferry.steps.admission.holders import HOLDERS
from nightferry.steps.approvals.refuse_unapproved import refuse_unapproved
from nightferry.steps.record.bar import hold

from tests.fakes.a_release import IMAGE
from tests.fakes.worlds.asking_world import HOURS, Asking

UNTIL = dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC)


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    return Asking(tmp_path)


def test_who_asks_to_go_on_too_early_takes_no_answer_away(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "bert")

    early = asking.decide("run:early", resume=release)

    assert (early.go, early.reason) == (False, Reason.AWAITS_APPROVAL)
    assert asking.answer(release, "carl").reason == Reason.APPROVED, "a yes was thrown away meanwhile"
    assert asking.decide("run:approved", resume=release).go


def test_who_asks_to_go_on_after_the_time_has_it_ended(asking: Asking) -> None:
    release = asking.waiting()
    asking.clock.sleep(HOURS + 1)
    late = asking.decide("run:late", resume=release)
    stay = asking.admit(late)
    assert stay is not None
    assert (stay.reason, stay.drop) == (Reason.APPROVAL_EXPIRED, True)


def test_what_is_approved_and_held_goes_on_with_its_answers(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "bert")
    asking.answer(release, "carl")
    hold(asking.ledger, asking.clock, "digits", why="hot", actor="rita", until=UNTIL)
    stay = asking.admit(asking.decide("run:approved", resume=release))
    assert stay is not None
    assert stay.reason == Reason.HELD
    asking.clock.sleep(3 * HOURS)
    assert asking.admit(asking.decide("run:after", resume=release)) is None
    assert asking.reasons(release, (Kind.APPROVAL,)) == [Reason.APPROVED, Reason.APPROVED]


def test_who_sends_on_what_another_had_built_does_not_approve_it(asking: Asking) -> None:
    asking.world.actor = "schedule"
    built = asking.decide("run:built", until="published")
    world = asking.world
    assert admit(built, "staging", world.spec, HOLDERS, ledger=asking.ledger, clock=asking.clock) is not None
    asking.world.actor = "bert"
    goes = asking.decide("run:bert")
    assert (goes.continued, goes.actor) == (True, "schedule")
    stay = asking.admit(goes)
    assert stay is not None
    release = str(goes.release)
    assert asking.state.waiting is not None
    assert asking.state.waiting.facts["approvers"] == ["ana", "carl", "dora"]

    entry = asking.answer(release, "bert")

    assert (entry.reason, "bert asked for this release" in entry.sentence) == (Reason.NOT_COUNTED, True)
    asking.answer(release, "carl")
    asking.answer(release, "dora")
    refuse_unapproved(asking.entries(release), "production", IMAGE)


def test_who_sends_on_what_was_held_keeps_the_yes(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "bert")
    asking.answer(release, "carl")
    hold(asking.ledger, asking.clock, "digits", why="hot", actor="rita", until=UNTIL)
    asking.admit(asking.decide("run:approved", resume=release))
    asking.clock.sleep(3 * HOURS)
    asking.world.actor = "carl"
    assert asking.admit(asking.decide("run:carl", resume=release)) is None
