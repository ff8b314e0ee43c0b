"""Previews in a cluster: brought up, compared, ended by a person, by their time and by the cluster itself."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry.entities.judging.prediction_diff import DIFF
from nightferry.entities.probe_report import Fault, ProbeReport
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names
from nightferry.manifests import preview as manifests
from nightferry.steps.record.history import history
from nightferry.steps.record.ledger import Chain, verify
from nightferry.steps.record.preview_record import close_left_open, preview_entries
from nightferry.steps.record.state import read_state
from nightferry.steps.trial.previews.places import refuse_full, standing
from nightferry.steps.trial.rehearse import rehearse

from tests.fakes.memory.memory_cluster import Behaviour
from tests.fakes.worlds.preview_world import RELEASE, Previews
from tests.fakes.worlds.rollout_world import Killed, image

HOUR = 3600.0


@pytest.fixture
def previews() -> Previews:
    return Previews()


def test_it_comes_up_at_an_address_of_its_own_and_is_compared(previews: Previews) -> None:
    preview = previews.ask()
    entry = previews.bring_up(preview)
    port = previews.trial.objects["Service", preview]["spec"]["ports"][0]["nodePort"]
    assert (preview, entry.reason, entry.release) == ("preview-digits-1", Reason.PREVIEWED, None)
    assert entry.data["address"] == f"http://127.0.0.1:{port}"
    assert entry.data["until"].startswith("2026-11-21T09:0")
    assert entry.data["image"] == image(preview)
    assert (entry.data[DIFF]["compared"], entry.data[DIFF]["flips"]) == (40, 3)
    assert previews.open() == [preview]
    assert previews.left() == [
        ("Job", preview),
        ("NetworkPolicy", preview),
        *[(kind, name) for kind, name in previews.left() if kind == "Pod"],
        ("Service", preview),
    ]
    verify(previews.ledger, "digits")


def test_its_pod_is_the_services_own_with_a_deadline_and_no_token(previews: Previews) -> None:
    preview = previews.up(hours=2)
    job = previews.trial.objects["Job", preview]
    pod = job["spec"]["template"]["spec"]
    assert job["spec"]["activeDeadlineSeconds"] == pod["activeDeadlineSeconds"] == 2 * HOUR
    assert job["spec"]["ttlSecondsAfterFinished"] == manifests.KEPT_SECONDS
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("OnFailure", False)
    variables = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert (variables["NIGHTFERRY_RELEASE"], variables["NIGHTFERRY_ENVIRONMENT"]) == (preview, "preview")
    policy = previews.trial.objects["NetworkPolicy", preview]["spec"]
    assert policy["podSelector"] == {"matchLabels": names.selector("digits", preview)}
    owners = [
        previews.trial.objects[kind, preview]["metadata"]["ownerReferences"] for kind in ("Service", "NetworkPolicy")
    ]
    assert [one["uid"] for (one,) in owners] == [job["metadata"]["uid"]] * 2


def test_it_is_no_release(previews: Previews) -> None:
    before = read_state(previews.ledger, "digits")
    lines = list(history(previews.ledger, "digits"))
    preview = previews.up()
    after = read_state(previews.ledger, "digits")
    previews.end(preview)
    assert list(history(previews.ledger, "digits")) == lines
    changed = {"sequence", "digest", "previews", "preview_number"}
    assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)
    assert (after.in_use, after.open) == (before.in_use, before.open)
    assert {one.release for one in Chain(previews.ledger, "digits") if one.kind == "preview"} == {None}


def test_a_person_ends_it_and_nothing_is_left(previews: Previews) -> None:
    preview = previews.up()
    first = previews.end(preview, "seen enough")
    assert (first.actor, first.reason) == ("bo", Reason.PREVIEW_ENDED)
    assert "seen enough" in first.sentence
    assert (previews.left(), previews.open()) == ([], [])
    assert previews.end(preview) == first  # one that is gone stays so
    assert [key for key, _ in previews.entries(preview)] == ["preview:run:one", f"{preview}/up", f"{preview}/ended"]


def test_its_time_ends_it(previews: Previews) -> None:
    preview = previews.up(hours=1)
    assert previews.end_over() == []
    previews.clock.advance(HOUR - 30)
    assert previews.end_over() == []
    previews.clock.advance(60)
    assert previews.end_over() == [preview]
    assert (previews.left(), previews.open()) == ([], [])
    last = preview_entries(previews.ledger, preview)[-1]
    assert (last.actor, last.reason, last.sentence) == (
        "clock",
        Reason.PREVIEW_ENDED,
        f"{preview} ended. Its 1 h are over.",
    )
    assert previews.end_over() == []


def test_the_cluster_ends_it_where_nobody_looks(previews: Previews) -> None:
    preview = previews.up(hours=1)
    previews.clock.advance(HOUR)
    assert [name for kind, name in previews.left() if kind == "Pod"] == []
    previews.clock.advance(manifests.KEPT_SECONDS)
    assert previews.left() == []
    assert previews.open() == [preview]  # nobody wrote it down; by its own entry its time is over


def test_what_nobody_ended_on_the_record_the_next_request_ends(previews: Previews) -> None:
    gone, broken = previews.up("one", hours=1), previews.ask("two")
    previews.clock.advance(11 * HOUR)
    fresh = previews.ask("three")
    previews.clock.advance(2 * HOUR)
    close_left_open(previews.ledger, previews.clock, "digits")
    assert previews.open() == [fresh]
    ends = [previews.entries(name)[-1] for name in (gone, broken)]
    assert ends == [(f"{gone}/ended", Reason.PREVIEW_ENDED), (f"{broken}/ended", Reason.INTERRUPTED)]


def test_one_that_the_cluster_gave_up_is_over_and_the_record_says_why(previews: Previews) -> None:
    preview = previews.up()
    job = previews.trial.objects["Job", preview]
    said = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "it crashed too often"}
    job["status"] = {"conditions": [said]}
    assert previews.end_over() == [preview]
    assert "it crashed too often" in preview_entries(previews.ledger, preview)[-1].sentence


def test_one_that_another_record_has_is_left_alone_until_its_time(previews: Previews) -> None:
    stranger = Previews()
    stranger.trial, stranger.clock = previews.trial, previews.clock
    theirs = [stranger.up(f"run {number}") for number in range(2)][-1]
    assert theirs == "preview-digits-2"
    assert previews.end_over() == []


@pytest.mark.parametrize(
    ("behaviour", "fault", "reason"),
    [
        pytest.param(Behaviour(crash="boom"), None, Reason.ROLLOUT_NOT_READY, id="crashes"),
        pytest.param(Behaviour(), Fault(kind="golden", sentence="7 is 1."), Reason.VERIFY_GOLDEN_WRONG, id="wrong"),
        pytest.param(Behaviour(unschedulable="0/3 nodes"), None, Reason.ROLLOUT_NO_CAPACITY, id="no node"),
    ],
)
def test_what_can_not_come_up_is_taken_away_and_the_record_says_why(
    previews: Previews, behaviour: Behaviour, fault: Fault | None, reason: Reason
) -> None:
    preview = previews.ask()
    previews.trial.behaviours[image(preview)] = behaviour
    previews.fault = fault
    with pytest.raises(Permanent) as failed:
        previews.bring_up(preview)
    assert failed.value.reason == reason
    assert (previews.left(), previews.open()) == ([], [])
    assert previews.entries(preview)[-1] == (f"{preview}/ended", reason)
    with pytest.raises(Permanent) as again:
        previews.bring_up(preview)
    assert (again.value.reason, previews.left()) == (Reason.PREVIEW_ENDED, [])


def test_what_may_pass_is_tried_again_and_said(previews: Previews) -> None:
    preview = previews.ask()
    previews.fault = Fault(kind="silent", sentence="no answer.")
    for _ in range(2):
        with pytest.raises(Temporary):
            previews.bring_up(preview)
    previews.fault = None
    assert previews.bring_up(preview).reason == Reason.PREVIEWED
    assert [key for key, _ in previews.entries(preview)][1:] == [f"{preview}/trouble/1", f"{preview}/up"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Temporary(Reason.VERIFY_UNREACHABLE, "It does not answer."), "It does not answer."),
        (Permanent(Reason.NO_FIGURES, "Its model is gone."), "Its model is gone."),
        (None, "Nothing is in use"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_said_and_no_failure(
    previews: Previews, fault: NightferryError | None, said: str
) -> None:
    previews.compare = previews.failing(fault) if fault else lambda plan: None
    entry = previews.bring_up(previews.ask())
    assert entry.reason == Reason.PREVIEWED
    assert DIFF not in entry.data
    assert said in entry.data["comparison"]


def test_an_image_that_was_not_tested_does_not_run(previews: Previews) -> None:
    preview = previews.ask(tested=False)
    with pytest.raises(Permanent) as failed:
        previews.bring_up(preview)
    assert (failed.value.reason, previews.left()) == (Reason.RESULT_MISSING, [])


def test_killed_at_any_call_the_next_try_brings_it_up_once() -> None:
    calls = 0
    while True:
        calls, previews = calls + 1, Previews()  # a record of its own, which stays short
        preview = previews.ask(f"run {calls}")
        if not _killed(previews, calls, lambda name=preview, on=previews: on.bring_up(name)):
            break
        assert previews.bring_up(preview).reason == Reason.PREVIEWED
        assert [kind for kind, _ in previews.left()] == ["Job", "NetworkPolicy", "Pod", "Service"]
        previews.end(preview)
        assert previews.left() == []
        verify(previews.ledger, "digits")
    assert calls > 15


def test_killed_as_it_ends_the_next_look_leaves_nothing(previews: Previews) -> None:
    calls = 0
    while True:
        calls += 1
        preview = previews.up(f"run {calls}")
        if not _killed(previews, calls, lambda name=preview: previews.end(name)):
            break
        previews.end_over()
        previews.end(preview)
        assert (previews.left(), previews.open()) == ([], [])
    assert calls > 5
    verify(previews.ledger, "digits")


def test_killed_and_never_tried_again_its_time_ends_it(previews: Previews) -> None:
    preview = previews.ask(hours=1)
    seen = 0

    def kill(call: str, kind: str) -> None:
        nonlocal seen
        seen += (call, kind) == ("apply", "Service")
        if seen:
            raise Killed

    previews.trial.before = kill
    with pytest.raises(Killed):
        previews.bring_up(preview)
    previews.trial.before = lambda *_: None
    assert previews.left()
    previews.clock.advance(HOUR + 60)
    assert previews.end_over() == [preview]
    assert (previews.left(), previews.open()) == ([], [])


def test_ended_by_a_person_while_it_comes_up_it_is_gone(previews: Previews) -> None:
    preview = previews.ask()

    def probed(address: str) -> ProbeReport:
        previews.end(preview)
        return ProbeReport(faults=(), checked=1, seconds=0.1)

    previews._prepare = lambda plan: probed  # type: ignore[method-assign]
    with pytest.raises(NightferryError):
        previews.bring_up(preview)
    assert (previews.left(), previews.open()) == ([], [])
    assert previews.entries(preview)[-1] == (f"{preview}/ended", Reason.PREVIEW_ENDED)


def test_places_are_few_and_the_next_one_is_told_who_has_them(previews: Previews) -> None:
    up = [previews.up(service, service=service) for service in ("digits", "letters", "churn")]
    with pytest.raises(Permanent) as early:
        refuse_full(previews.trial, previews.clock.now())
    late = previews.ask("four")
    with pytest.raises(Permanent) as failed:
        previews.bring_up(late)
    for full in (early.value, failed.value):
        assert full.reason == Reason.PREVIEW_FULL
        for name in up:
            assert f"{name} by ana until 2026-11-21T09:" in full.sentence
    assert [one["metadata"]["name"] for one in standing(previews.trial, previews.clock.now())] == up
    previews.end(up[0])
    assert previews.up("five") in previews.open()


def test_a_place_whose_holder_is_over_is_free(previews: Previews) -> None:
    up = [previews.up(service, hours=1, service=service) for service in ("digits", "letters", "churn")]
    previews.clock.advance(HOUR + 60)
    refuse_full(previews.trial, previews.clock.now())
    late = previews.up("late")
    assert [one["metadata"]["name"] for one in standing(previews.trial, previews.clock.now())] == [late]
    assert [previews.open(service) for service in ("letters", "churn")] == [[], []]
    assert up[0] not in previews.open()


def test_one_that_asks_for_too_much_is_told_so(previews: Previews) -> None:
    quota = previews.trial.objects["ResourceQuota", "nightferry-previews"]
    quota["spec"]["hard"]["requests.cpu"] = "50m"
    with pytest.raises(Permanent) as failed:
        previews.bring_up(previews.ask())
    assert failed.value.reason == Reason.ROLLOUT_REFUSED
    assert "requests.cpu of quota nightferry-previews" in failed.value.sentence


def test_a_rehearsal_and_a_preview_leave_each_other_alone(previews: Previews) -> None:
    preview = previews.up()
    before = previews.left()
    found = rehearse(
        "digits",
        cluster=previews.trial,
        ledger=previews.ledger,
        prepare=previews._prepare,
        clock=previews.clock,
        night="one",
        actor="rehearsal",
    )
    assert (found.reason, found.data["tried"][0]["release"]) == (Reason.REHEARSED, RELEASE)
    assert previews.left() == before
    made = previews.trial.create(_deployment_of_a_rehearsal())
    previews.end(preview)
    assert made
    assert [kind for kind, _ in previews.left()] == ["Deployment", "Pod"]


def test_a_cluster_that_does_not_answer_ends_nothing(previews: Previews) -> None:
    preview = previews.up()
    previews.trial.fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "Away.")
    with pytest.raises(Temporary):
        previews.end_over()
    assert previews.open() == [preview]


def test_a_preview_that_the_record_does_not_know_is_said(previews: Previews) -> None:
    for name in ("preview-digits-9", "digits-2026-11-21.1", "nonsense"):
        with pytest.raises(Permanent) as failed:
            previews.end(name)
        assert failed.value.reason == Reason.PREVIEW_UNKNOWN


def _killed(previews: Previews, calls: int, work: Any) -> bool:
    """Whether the work was killed at its so manieth call of cluster or record; one that is gone cleans nothing up."""
    left = calls

    def kill(*_: object) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Killed

    previews.trial.before = previews.ledger.before = kill
    try:
        work()
    except Killed:
        return True
    finally:
        previews.trial.before = previews.ledger.before = lambda *_: None
    return False


def _deployment_of_a_rehearsal() -> dict[str, Any]:
    labels = names.labels("digits", RELEASE)
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "service", "image": image(RELEASE)}]}}
    metadata = {"name": names.object_name(RELEASE), "labels": labels}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 1, "template": template}}
