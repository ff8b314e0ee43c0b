"""A rollout, its failures, and its interruptions."""

from __future__ import annotations

import pytest
from nightferry.entities.probe_report import Fault
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names

from tests.fakes.memory.memory_cluster import Behaviour
from tests.fakes.worlds.rollout_world import Killed, World, image, plan

FIRST, SECOND, THIRD = "digits-2026-11-21.1", "digits-2026-11-21.2", "digits-2026-11-22.1"


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_release_comes_into_use(world: World) -> None:
    done = world.roll_out(FIRST, replicas=2)
    assert (done.previous, done.pods) == ("", 2)
    assert world.in_use() == FIRST
    assert world.cluster.names("PodDisruptionBudget") == ["digits-20261121-1"]
    assert world.cluster.names("NetworkPolicy") == ["digits"]
    (entry,) = world.entries()
    assert (entry.key, entry.reason) == (f"{FIRST}/staging.roll_out", Reason.ROLLED_OUT)
    assert entry.data["image"] == image(FIRST)


def test_the_release_before_stays_warm(world: World) -> None:
    world.roll_out(FIRST)
    done = world.roll_out(SECOND, warm_minutes=30)
    assert done.previous == FIRST
    assert world.in_use() == SECOND
    assert world.note(FIRST, names.WARM_UNTIL) == "2026-11-21T01:30:04Z"
    assert world.note(SECOND, names.WARM_UNTIL) is None
    assert world.cluster.get("Deployment", "digits-20261121-1")["spec"]["replicas"] == 1


def test_the_release_before_keeps_its_ways_out_while_another_without_any_comes_up(world: World) -> None:
    world.roll_out(FIRST, egress=[{"to": "10.0.0.0/8", "ports": [5432]}])
    opened = world.cluster.get("NetworkPolicy", "digits-20261121-1")
    world.roll_out(SECOND)
    assert world.cluster.names("NetworkPolicy") == ["digits", "digits-20261121-1"]
    assert world.cluster.get("NetworkPolicy", "digits-20261121-1") == opened


def test_of_several_releases_in_a_short_time_only_the_last_but_one_stays_warm(world: World) -> None:
    third = "digits-2026-11-21.3"
    for release in (FIRST, SECOND, third):
        world.roll_out(release, warm_minutes=30)
    world.verify(third, warm_minutes=30)
    replicas = {
        name: world.cluster.get("Deployment", name)["spec"]["replicas"] for name in world.cluster.names("Deployment")
    }
    assert replicas == {"digits-20261121-1": 0, "digits-20261121-2": 1, "digits-20261121-3": 1}


def test_the_address_stays_over_releases(world: World) -> None:
    world.roll_out(FIRST)
    before = world.cluster.get("Service", "digits")["spec"]
    world.roll_out(SECOND)
    after = world.cluster.get("Service", "digits")["spec"]
    assert (after["clusterIP"], after["ports"]) == (before["clusterIP"], before["ports"])
    assert after["ports"][0]["nodePort"]


def test_done_again_it_changes_nothing(world: World) -> None:
    world.roll_out(FIRST)
    world.roll_out(SECOND)
    before = dict(world.cluster.objects)
    entries = world.entries()
    world.clock.advance(60)
    again = world.roll_out(SECOND)
    assert again.previous == FIRST
    assert world.cluster.objects == before
    assert world.entries() == entries


def test_an_older_release_never_takes_over(world: World) -> None:
    world.decide(FIRST)
    world.roll_out(SECOND)
    with pytest.raises(Permanent) as caught:
        world.roll_out(FIRST)
    assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
    assert world.in_use() == SECOND
    assert world.cluster.names("Deployment") == ["digits-20261121-2"]


def test_superseded_while_its_pods_start(world: World) -> None:
    """The newer one came between the first look and the switch."""
    world.roll_out(FIRST)

    world.decide(SECOND)

    def newer_comes(address: str, answer: object) -> object:
        world.answers = lambda address, answer: answer
        world.roll_out(THIRD)
        return answer

    world.answers = newer_comes
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND)
    assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
    assert world.in_use() == THIRD
    assert names.object_name(SECOND) not in world.cluster.names("Deployment")


def test_a_superseded_release_that_was_in_use_is_kept_for_going_back(world: World) -> None:
    world.roll_out(FIRST)
    world.roll_out(SECOND)
    with pytest.raises(Permanent):
        world.roll_out(FIRST)
    assert world.cluster.names("Deployment") == ["digits-20261121-1", "digits-20261121-2"]


@pytest.mark.parametrize(
    ("behaviour", "reason", "kind", "said"),
    [
        (Behaviour(crash="ValueError: no such opset"), Reason.ROLLOUT_NOT_READY, Permanent, "no such opset"),
        (Behaviour(ready_after=None, log="still loading"), Reason.ROLLOUT_NOT_READY, Permanent, "still loading"),
        (
            Behaviour(waiting="ImagePullBackOff", waiting_message="manifest unknown"),
            Reason.ROLLOUT_NOT_READY,
            Permanent,
            "manifest unknown",
        ),
        (
            Behaviour(waiting="ImagePullBackOff", waiting_message="dial tcp 10.0.0.1:443: connection refused"),
            Reason.ROLLOUT_NOT_READY,
            Temporary,
            "connection refused",
        ),
        (Behaviour(refused="pods is forbidden: exceeded quota"), Reason.ROLLOUT_REFUSED, Temporary, "exceeded quota"),
        (
            Behaviour(refused='pod is forbidden: violates PodSecurity "x"'),
            Reason.ROLLOUT_REFUSED,
            Permanent,
            "violates",
        ),
        (Behaviour(unschedulable="0/3 nodes: no cpu"), Reason.ROLLOUT_NO_CAPACITY, Permanent, "no cpu"),
    ],
)
@pytest.mark.parametrize("environment", ["staging", "production"])
def test_pods_that_do_not_come_up(
    world: World, behaviour: Behaviour, reason: Reason, kind: type, said: str, environment: str
) -> None:
    world.roll_out(FIRST, name=environment)
    before = dict(world.cluster.objects)
    world.cluster.behaviours[image(SECOND)] = behaviour
    with pytest.raises(kind) as caught:
        world.roll_out(SECOND, name=environment)
    assert caught.value.reason == reason
    assert said in caught.value.sentence
    del before["Service", "digits-candidate"]
    assert world.cluster.objects == before
    failure = world.entries()[-1]
    assert failure.key == f"{SECOND}/{environment}.roll_out/failed/1"
    assert failure.reason == reason
    assert (failure.data["permanent"], failure.data["removed"]) == (kind is Permanent, True)


def test_hopeless_pods_end_the_wait_early(world: World) -> None:
    world.cluster.behaviours[image(FIRST)] = Behaviour(crash="boom")
    with pytest.raises(Permanent):
        world.roll_out(FIRST, ready_seconds=600)
    assert world.clock.slept < 5


def test_nothing_stays_of_a_first_release_that_failed(world: World) -> None:
    world.faults[FIRST] = Fault(kind="golden", sentence="0.png should give 0, got 3.")
    with pytest.raises(Permanent) as caught:
        world.roll_out(FIRST)
    assert caught.value.reason == Reason.VERIFY_GOLDEN_WRONG
    assert not [key for key in world.cluster.objects if key[0] != "Pod"]


@pytest.mark.parametrize(
    ("kind", "reason", "error"),
    [
        ("golden", Reason.VERIFY_GOLDEN_WRONG, Permanent),
        ("contract", Reason.IMAGE_CONTRACT_BROKEN, Permanent),
        ("passport", Reason.VERIFY_WRONG_RELEASE, Permanent),
        ("start", Reason.VERIFY_UNREACHABLE, Temporary),
    ],
)
def test_a_candidate_that_answers_wrongly_gets_no_users(world: World, kind: str, reason: Reason, error: type) -> None:
    world.roll_out(FIRST)
    world.faults[SECOND] = Fault(kind=kind, sentence="It is wrong.")
    with pytest.raises(error) as caught:
        world.roll_out(SECOND)
    assert caught.value.reason == reason
    assert world.in_use() == FIRST
    assert world.cluster.names("Deployment") == ["digits-20261121-1"]


def test_a_candidate_that_answers_as_another(world: World) -> None:
    world.answers = lambda address, answer: answer and {**answer, "release": "digits-2020-01-01.1"}
    with pytest.raises(Permanent) as caught:
        world.roll_out(FIRST)
    assert caught.value.reason == Reason.VERIFY_WRONG_RELEASE
    assert world.in_use() is None


def test_a_candidate_that_does_not_answer(world: World) -> None:
    world.answers = lambda address, answer: None
    with pytest.raises(Temporary) as caught:
        world.roll_out(FIRST)
    assert caught.value.reason == Reason.VERIFY_UNREACHABLE


def test_without_golden_examples_nothing_is_touched(world: World) -> None:
    world.unprepared = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob storage does not answer.")
    with pytest.raises(Temporary):
        world.roll_out(FIRST)
    assert not world.cluster.objects
    assert world.entries()[-1].reason == Reason.STORAGE_UNAVAILABLE


def test_each_failed_attempt_is_recorded(world: World) -> None:
    world.unprepared = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob storage does not answer.")
    for _ in range(2):
        with pytest.raises(Temporary):
            world.roll_out(FIRST)
    world.unprepared = None
    world.roll_out(FIRST)
    step = f"{FIRST}/staging.roll_out"
    assert [entry.key for entry in world.entries()] == [f"{step}/failed/1", f"{step}/failed/2", step]


def test_a_ledger_that_is_down_hides_no_failure(world: World) -> None:
    world.cluster.behaviours[image(FIRST)] = Behaviour(crash="boom")
    world.ledger.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob storage does not answer.")
    with pytest.raises(Permanent) as caught:
        world.roll_out(FIRST)
    assert caught.value.reason == Reason.ROLLOUT_NOT_READY


def test_a_ledger_that_is_down_leaves_the_release_in_use_and_to_be_recorded(world: World) -> None:
    world.ledger.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob storage does not answer.")
    with pytest.raises(Temporary):
        world.roll_out(FIRST)
    assert world.in_use() == FIRST
    world.ledger.fault = None
    world.roll_out(FIRST)
    assert [entry.key for entry in world.entries()] == [f"{FIRST}/staging.roll_out"]


def test_a_service_of_someone_else_is_left_alone(world: World) -> None:
    world.cluster.create({"kind": "Service", "metadata": {"name": "digits"}, "spec": {"selector": {}, "ports": [{}]}})
    before = world.cluster.get("Service", "digits")
    with pytest.raises(Permanent) as caught:
        world.roll_out(FIRST)
    assert caught.value.reason == Reason.ROLLOUT_REFUSED
    assert world.cluster.get("Service", "digits") == before
    assert world.cluster.names("Deployment") == []


def test_an_annotation_changed_by_hand_is_refused(world: World) -> None:
    world.roll_out(FIRST)
    world.cluster.patch("Service", "digits", {"metadata": {"annotations": {names.RELEASE: "latest"}}})
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND)
    assert caught.value.reason == Reason.ROLLOUT_REFUSED


def test_a_deployment_with_another_image_is_refused(world: World) -> None:
    world.roll_out(FIRST)
    world.roll_out(SECOND)
    world.cluster.delete("Service", "digits")
    annotations = {names.IMAGE: image(THIRD)}
    world.cluster.patch("Deployment", "digits-20261121-2", {"metadata": {"annotations": annotations}})
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND)
    assert caught.value.reason == Reason.ROLLOUT_REFUSED


def test_a_cluster_that_is_away_for_a_moment_is_waited_for(world: World) -> None:
    down_until = world.clock.now().timestamp() + 20

    def before(call: str, kind: str) -> None:
        if kind == "Pod" and world.clock.now().timestamp() < down_until:
            raise Temporary(Reason.CLUSTER_UNAVAILABLE, "no answer")

    world.cluster.before = before
    world.roll_out(FIRST)
    assert world.in_use() == FIRST


def test_a_cluster_that_is_down_is_said_to_be(world: World) -> None:
    world.cluster.fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "no answer")
    with pytest.raises(Temporary) as caught:
        world.roll_out(FIRST)
    assert caught.value.reason == Reason.CLUSTER_UNAVAILABLE


def test_an_autoscaled_release_keeps_its_scale(world: World) -> None:
    autoscale = {"minimum": 2, "maximum": 5}
    world.roll_out(FIRST, autoscale=autoscale)
    assert world.cluster.names("HorizontalPodAutoscaler") == ["digits-20261121-1"]
    world.cluster.patch("Deployment", "digits-20261121-1", {"spec": {"replicas": 4}})
    world.roll_out(FIRST, autoscale=autoscale)
    assert world.cluster.get("Deployment", "digits-20261121-1")["spec"]["replicas"] == 4


def _count(release: str, before: str | None) -> int:
    world = World()
    if before:
        world.roll_out(before)
    return world.calls(lambda: world.roll_out(release))


@pytest.mark.parametrize("before", [None, FIRST])
def test_killed_at_any_call_and_done_again_there_is_one_rollout(before: str | None) -> None:
    """kill -9 of the deployer: not a line of it runs after that."""
    for call in range(1, _count(SECOND, before) + 1):
        world = World()
        if before:
            world.roll_out(before)
        world.kill_at(call, dead=True)
        with pytest.raises(Killed):
            world.roll_out(SECOND)
        world.live()
        world.check()
        assert world.in_use() in (before, "none", SECOND)
        world.roll_out(SECOND)
        _assert_one_rollout(world, before)


@pytest.mark.parametrize("before", [None, FIRST])
def test_ended_at_any_call_nothing_is_left_over(before: str | None) -> None:
    """SIGTERM to the deployer: it clears up, unless users are sent to the release already."""
    for call in range(1, _count(SECOND, before) + 1):
        world = World()
        if before:
            world.roll_out(before)
        world.kill_at(call, dead=False)
        with pytest.raises(Killed):
            world.roll_out(SECOND)
        world.live()
        world.check()
        if world.in_use() != SECOND:
            assert world.in_use() == before
            assert names.object_name(SECOND) not in world.cluster.names("Deployment")
            assert world.entries()[-1].reason == Reason.INTERRUPTED
        world.roll_out(SECOND)
        _assert_one_rollout(world, before)


@pytest.mark.parametrize("faulty", ["none", "inner", "outer"])
def test_two_at_once_never_send_users_to_nothing(faulty: str) -> None:
    """A second attempt runs from start to end at each call of the first; one of them may find the release wrong."""
    for call in range(1, _count(SECOND, FIRST) + 1):
        world = World()
        world.roll_out(FIRST)
        results = _two_at_once(world, call, faulty)
        world.check()
        switched = [result for result in results if result == "done"]
        if switched:
            assert world.in_use() == SECOND, (call, results)
        else:
            assert world.in_use() == FIRST
            assert world.cluster.names("Deployment") == ["digits-20261121-1"]
        assert "done" in results or faulty != "none"


def _two_at_once(world: World, call: int, faulty: str) -> list[str]:
    fault = Fault(kind="golden", sentence="It is wrong.")
    results: list[str] = []
    count = 0

    def attempt(mine: str) -> None:
        try:
            world.roll_out(SECOND)
            results.append("done")
        except (Permanent, Temporary) as error:
            results.append(str(error.reason))
        world.faults = {SECOND: fault} if faulty == "outer" else {}

    def tick(*_: object) -> None:
        nonlocal count
        count += 1
        world.check()
        if count == call:
            world.live()
            world.faults = {SECOND: fault} if faulty == "inner" else {}
            attempt("inner")

    world.faults = {SECOND: fault} if faulty == "outer" else {}
    world.cluster.before = tick
    world.ledger.before = tick
    attempt("outer")
    world.live()
    return results


def _assert_one_rollout(world: World, before: str | None) -> None:
    assert world.in_use() == SECOND
    expected = [names.object_name(one) for one in (before, SECOND) if one]
    assert world.cluster.names("Deployment") == expected
    assert world.cluster.names("PodDisruptionBudget") == expected
    assert len(world.cluster.names("Pod")) == len(expected)
    assert world.note(SECOND, names.SERVED)
    assert world.note(SECOND, names.SWITCHING) is None
    if before:
        assert world.note(before, names.WARM_UNTIL)
        assert names.annotations_of(world.cluster.get("Service", "digits"))[names.PREVIOUS] == before
    keys = [entry.key for entry in world.entries()]
    assert keys.count(f"{SECOND}/staging.roll_out") == 1


def test_plans_differ_by_release() -> None:
    assert plan(FIRST).image != plan(SECOND).image


def test_a_crash_is_on_record_as_one_and_what_cannot_be_pulled_is_not() -> None:
    for behaviour, crashed in ((Behaviour(crash="boom"), True), (Behaviour(waiting="ImagePullBackOff"), False)):
        world = World()
        world.cluster.behaviours[image(FIRST)] = behaviour
        with pytest.raises(NightferryError):
            world.roll_out(FIRST)
        assert (world.entries()[-1].data.get("crashed") is True) is crashed
