"""Whose yes counts, for what, and until when. Each way around it is refused, and the refusal is on the record."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.cli import main
from nightferry.entities.approvals.people import People
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.approvals.end_waiting import end_waiting
from nightferry.steps.approvals.refuse_unapproved import refuse_unapproved

from tests.fakes.a_release import IMAGE, SERVICE_FILE
from tests.fakes.worlds.asking_world import HOURS, PEOPLE, Asking

OTHER = "127.0.0.1:5000/digits@sha256:" + "b" * 64


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    return Asking(tmp_path)


def refused(asking: Asking, release: str) -> str:
    """The deployer's word."""
    with pytest.raises(Permanent) as caught:
        refuse_unapproved(asking.entries(release), "production", IMAGE)
    assert caught.value.reason == Reason.NOT_APPROVED
    return caught.value.sentence


def ended(asking: Asking, release: str) -> tuple[str, str]:
    closing = [one for one in asking.entries(release) if one.kind == Kind.RELEASE][-1]
    return closing.reason, closing.sentence


def test_two_yes_let_it_in(asking: Asking) -> None:
    release = asking.waiting()
    waiting = asking.state.waiting
    assert waiting is not None
    assert (waiting.until, waiting.facts["approvers"]) == ("2026-11-21T02:00:00Z", ["bert", "carl", "dora"])
    refused(asking, release)

    assert asking.answer(release, "bert").reason == Reason.APPROVED
    assert "bert approved, and 2 have to" in refused(asking, release)
    asking.answer(release, "carl", why="numbers are fine")

    assert [(one.person, one.why) for one in asking.state.approvals] == [("bert", ""), ("carl", "numbers are fine")]
    again = asking.decide("run:resume", resume=release)
    assert asking.admit(again) is None
    refuse_unapproved(asking.entries(release), "production", IMAGE)


def test_staging_and_other_services_are_not_asked_about(asking: Asking) -> None:
    release = asking.waiting()
    refuse_unapproved(asking.entries(release), "staging", IMAGE)


def test_an_answer_is_written_once(asking: Asking) -> None:
    release = asking.waiting()
    first = asking.answer(release, "bert")
    assert asking.answer(release, "bert").sequence == first.sequence
    assert asking.reasons(release) == [Reason.APPROVED]


@pytest.mark.parametrize(
    ("person", "words"),
    [
        ("ana", "asked for this release"),
        ("admin", "is not among those who were named"),
        ("release-bot", "is not among those who were named"),
    ],
)
def test_the_requester_an_admin_and_a_bot_do_not_count(asking: Asking, person: str, words: str) -> None:
    release = asking.waiting()
    entry = asking.answer(release, person)
    assert (entry.reason, entry.actor) == (Reason.NOT_COUNTED, person)
    assert words in entry.sentence
    asking.answer(release, "bert")
    assert "bert approved" in refused(asking, release)


def test_nobody_counts_twice(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "bert")
    entry = asking.answer(release, "bert", after=1)
    assert (entry.reason, "answered before" in entry.sentence) == (Reason.NOT_COUNTED, True)
    refused(asking, release)


def test_a_yes_to_another_image_is_none(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "bert", image=OTHER)
    asking.answer(release, "carl")
    asking.answer(release, "dora", image=OTHER)
    assert asking.reasons(release) == [Reason.NOT_COUNTED, Reason.APPROVED, Reason.NOT_COUNTED]
    refused(asking, release)


def test_approved_for_one_image_another_one_is_refused(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "bert")
    asking.answer(release, "carl")
    with pytest.raises(Permanent):
        refuse_unapproved(asking.entries(release), "production", OTHER)


def test_after_the_time_no_yes_counts_and_it_is_declined(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "bert")
    asking.clock.sleep(HOURS + 1)
    assert asking.answer(release, "carl").reason == Reason.NOT_COUNTED

    end_waiting(asking.ledger, asking.clock, release, "production")

    reason, sentence = ended(asking, release)
    assert reason == Reason.APPROVAL_EXPIRED
    assert "1 of 2 (bert)" in sentence
    assert asking.state.waiting is None
    again = asking.decide("run:two")
    assert again.go, "nobody said no, so that the next night may ask again"


def test_the_time_is_not_begun_anew_when_it_is_asked_again(asking: Asking) -> None:
    decision = asking.decide()
    asking.admit(decision)
    asking.clock.sleep(HOURS / 2)
    stay = asking.admit(decision)
    assert stay is not None
    assert stay.until == "2026-11-21T02:00:00Z"
    asking.clock.sleep(HOURS)
    stay = asking.admit(decision)
    assert stay is not None
    assert (stay.reason, stay.drop) == (Reason.APPROVAL_EXPIRED, True)


def test_a_no_is_final_and_bars_the_image(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "bert")
    asking.answer(release, "carl", yes=False, why="sevens are wrong")
    late = asking.answer(release, "dora")
    assert (late.reason, "carl declined before" in late.sentence) == (Reason.NOT_COUNTED, True)

    end_waiting(asking.ledger, asking.clock, release, "production")
    assert ended(asking, release)[0] == Reason.DECLINED
    assert "sevens are wrong" in ended(asking, release)[1]
    assert "carl declined it" in refused(asking, release)

    night = asking.decide("slot:2026-11-22T01:00Z")
    assert (night.go, night.reason) == (False, Reason.QUARANTINED)
    assert "carl declined" in night.sentence
    assert asking.decide("run:forced", force=True).go
    assert asking.decide("run:named", model="one").go


def test_declined_then_approved_stays_declined(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "carl", yes=False)
    asking.answer(release, "carl", after=1)
    asking.answer(release, "bert", after=2)
    asking.answer(release, "dora", after=3)
    assert asking.reasons(release) == [Reason.DECLINED, *[Reason.NOT_COUNTED] * 3]
    refused(asking, release)


def test_who_may_not_approve_cannot_decline(asking: Asking) -> None:
    release = asking.waiting()
    assert asking.answer(release, "admin", yes=False).reason == Reason.NOT_COUNTED
    asking.answer(release, "bert")
    asking.answer(release, "carl")
    refuse_unapproved(asking.entries(release), "production", IMAGE)


def test_questions_that_were_marked_as_done_are_no_yes(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "bert")

    end_waiting(asking.ledger, asking.clock, release, "production")

    reason, sentence = ended(asking, release)
    assert (reason, "1 of 2" in sentence) == (Reason.NOT_APPROVED, True)
    late = asking.answer(release, "carl")
    assert (late.reason, "does not wait" in late.sentence) == (Reason.NOT_COUNTED, True)
    refused(asking, release)


def test_an_edited_list_helps_nobody(asking: Asking) -> None:
    release = asking.waiting()
    asking.world.people = People.model_validate({"groups": {"managers": ["mallory"]}, "users": {"mallory": {}}})
    assert asking.answer(release, "mallory").reason == Reason.NOT_COUNTED
    asking.answer(release, "bert")
    asking.answer(release, "dora")
    refuse_unapproved(asking.entries(release), "production", IMAGE)


def test_what_newer_took_its_place_is_not_approved_any_more(asking: Asking) -> None:
    release = asking.waiting()
    asking.world.publish("two", created="2026-11-20T12:00:00Z")
    newer = asking.waiting(key="slot:2026-11-21T01:00Z")
    assert asking.state.waiting is not None
    assert asking.state.waiting.release == newer
    assert ended(asking, release)[0] == Reason.SUPERSEDED
    assert "does not wait" in asking.answer(release, "bert").sentence
    refused(asking, release)
    assert asking.answer(newer, "bert").reason == Reason.APPROVED


def test_authors_do_not_count(tmp_path: Path) -> None:
    asking = Asking(tmp_path, **{"not": "authors"})
    asking.author = "B. Keller"
    asking.world.publish("by-carl", created="2026-11-20T12:00:00Z", author="Carl C. <carl@example.org>")
    stay = asking.admit(asking.decide())
    assert stay is not None
    assert (stay.reason, stay.drop) == (Reason.NOT_APPROVED, True), "ana asked, and bert and carl are the authors"
    assert "1 can (dora)" in stay.sentence


def test_an_authors_answer_is_refused_by_name(tmp_path: Path) -> None:
    asking = Asking(tmp_path, needed=1, **{"not": "authors"})
    asking.author = "bert@example.org"
    asking.world.publish("by-carl", created="2026-11-20T12:00:00Z", author="carl")
    release = asking.waiting()
    assert "is the author of the commit" in asking.answer(release, "bert").sentence
    assert "is the author of the model" in asking.answer(release, "carl").sentence
    assert asking.answer(release, "dora").reason == Reason.APPROVED


def test_an_author_whom_nobody_matches_stops_it_and_says_what_to_add(tmp_path: Path) -> None:
    asking = Asking(tmp_path, needed=1, **{"not": "authors"})
    asking.world.publish("by-carl", created="2026-11-20T12:00:00Z", author="carl")
    stay = asking.admit(asking.decide())
    assert stay is not None
    assert (stay.reason, stay.drop) == (Reason.NOT_APPROVED, True)
    assert "erik@example.org" in stay.sentence
    assert "`mail:`" in stay.sentence


def test_an_unknown_group_is_said_when_it_is_decided(tmp_path: Path) -> None:
    asking = Asking(tmp_path, **{"from": ["nobody-knows"]})
    with pytest.raises(Permanent) as caught:
        asking.decide()
    assert caught.value.reason == Reason.PEOPLE_INVALID
    assert "nobody-knows" in caught.value.sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"groups": {"g": ["ana"]}}, "not under"),
        ({"groups": {"ana": []}, "users": {"ana": {}}}, "a group and a user"),
        ({"users": {"ana": {"mail": ["x@y"]}, "bert": {"mail": ["X@Y"]}}}, "given to ana and to bert"),
        ({"users": {"ana": {"mial": []}}}, "Extra inputs|extra"),
    ],
)
def test_the_file_of_people_is_read_strictly(content: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        People.model_validate(content)


def test_groups_and_users_are_meant_once() -> None:
    assert PEOPLE.meant_by(["carl", "managers"]) == ("carl", "ana", "bert", "dora")
    assert PEOPLE.user_of("Bert <BERT@example.org>") == "bert"
    assert PEOPLE.user_of("b.  keller") == "bert"
    assert PEOPLE.user_of("Nobody <nobody@example.org>") is None


def test_services_check_names_whom_nobody_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "services"
    folder.mkdir()
    asking = "namespace: production, approvals: {from: [nobody-knows]}"
    file = folder / "digits.yaml"
    file.write_text(SERVICE_FILE.replace("namespace: production", asking), encoding="utf-8")
    monkeypatch.setenv("NIGHTFERRY_SERVICES", str(folder))
    monkeypatch.setenv("NIGHTFERRY_HOME", str(tmp_path))
    assert main(["services", "check"]) == 1
    assert "nobody-knows is neither a group nor a user" in capsys.readouterr().out
    (tmp_path / "people.yaml").write_text("users: {nobody-knows: {}}", encoding="utf-8")
    assert main(["services", "check"]) == 0
