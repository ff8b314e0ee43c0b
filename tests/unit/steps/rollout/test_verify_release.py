"""A verification, and going back when it fails."""

from __future__ import annotations

import pytest
from nightferry.entities.probe_report import Fault
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.steps.rollout.retire_releases import retire_releases

from tests.fakes.memory.memory_cluster import Behaviour
from tests.fakes.worlds.rollout_world import SPEC, Killed, World, image

FIRST, SECOND, THIRD = "digits-2026-11-21.1", "digits-2026-11-21.2", "digits-2026-11-22.1"
WRONG = Fault(kind="golden", sentence="0.png should give 0, got 3.")


@pytest.fixture
def world() -> World:
    world = World()
    world.roll_out(FIRST)
    return world


def test_what_users_get_is_right(world: World) -> None:
    done = world.verify(FIRST)
    assert (len(done.pods), done.checked) == (1, 7)
    assert world.entries()[-1].key == f"{FIRST}/staging.verify"
    assert world.entries()[-1].reason == Reason.VERIFIED


def test_done_again_it_changes_nothing(world: World) -> None:
    world.verify(FIRST)
    before, entries = dict(world.cluster.objects), world.entries()
    world.verify(FIRST)
    assert (world.cluster.objects, world.entries()) == (before, entries)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_release_that_is_wrong_is_taken_back(environment: str) -> None:
    world = World()
    world.roll_out(FIRST, name=environment)
    world.roll_out(SECOND, name=environment)
    world.faults[SECOND] = WRONG
    with pytest.raises(Permanent) as caught:
        world.verify(SECOND, name=environment)
    assert caught.value.reason == Reason.VERIFY_GOLDEN_WRONG
    _assert_back(world)
    failure = world.entries()[-1]
    assert failure.key == f"{SECOND}/{environment}.verify/failed/1"
    assert FIRST in failure.data["action"]


def _assert_back(world: World) -> None:
    assert world.in_use() == FIRST
    assert world.cluster.names("Deployment") == ["digits-20261121-1"]
    assert len(world.cluster.names("Pod")) == 1
    assert world.note(FIRST, names.WARM_UNTIL) is None
    assert names.annotations_of(world.cluster.get("Service", "digits"))[names.WITHDRAWN] == SECOND


def test_the_release_before_is_woken_first(world: World) -> None:
    """It was scaled to zero meanwhile; users are sent to it only when its pods are ready."""
    world.roll_out(SECOND)
    annotations = {names.REPLICAS: "2"}
    world.cluster.patch("Deployment", "digits-20261121-1", {"spec": {"replicas": 0}})
    world.cluster.patch("Deployment", "digits-20261121-1", {"metadata": {"annotations": annotations}})
    world.cluster.delete("PodDisruptionBudget", "digits-20261121-1")
    world.faults[SECOND] = WRONG
    with pytest.raises(Permanent):
        world.verify(SECOND)
    assert world.in_use() == FIRST
    assert world.cluster.get("Deployment", "digits-20261121-1")["status"]["readyReplicas"] == 2
    assert world.cluster.names("PodDisruptionBudget") == ["digits-20261121-1"]


def test_a_release_before_that_does_not_come_up_leaves_users_where_they_are(world: World) -> None:
    world.roll_out(SECOND)
    world.cluster.patch("Deployment", "digits-20261121-1", {"spec": {"replicas": 0}})
    world.cluster.get("Deployment", "digits-20261121-1")
    world.cluster.behaviours[image(FIRST)] = Behaviour(crash="its model is gone")
    world.faults[SECOND] = WRONG
    with pytest.raises(Permanent) as caught:
        world.verify(SECOND)
    assert caught.value.reason == Reason.VERIFY_GOLDEN_WRONG
    assert world.in_use() == SECOND
    assert "its model is gone" in world.entries()[-1].data["action"]


def test_nothing_to_go_back_to_is_said(world: World) -> None:
    world.roll_out(SECOND)
    world.cluster.delete("Deployment", "digits-20261121-1")
    world.faults[SECOND] = WRONG
    with pytest.raises(Permanent):
        world.verify(SECOND)
    assert world.in_use() == SECOND
    assert world.cluster.names("Deployment") == ["digits-20261121-2"]
    assert "nothing to go back to" in world.entries()[-1].data["action"]


def test_a_first_release_that_is_wrong_is_out_of_the_traffic_and_nothing_is_deleted(world: World) -> None:
    address = world.cluster.get("Service", "digits")["spec"]["ports"]
    world.faults[FIRST] = WRONG
    with pytest.raises(Permanent):
        world.verify(FIRST)
    _assert_first_is_out(world)
    assert world.cluster.get("Service", "digits")["spec"]["ports"] == address
    world.clock.advance(2 * 3600)
    retire_releases(world.cluster, "digits", world.clock)
    assert world.cluster.get("Deployment", "digits-20261121-1")["spec"]["replicas"] == 0


def _assert_first_is_out(world: World) -> None:
    assert world.in_use() == "none"
    assert world.cluster.names("Deployment") == ["digits-20261121-1"]
    assert (world.traffic().release, world.traffic().withdrawing) == (None, None)


def test_after_a_first_release_that_was_wrong_the_next_comes_into_use_at_the_same_address(world: World) -> None:
    address = world.cluster.get("Service", "digits")["spec"]["ports"]
    world.faults[FIRST] = WRONG
    with pytest.raises(Permanent):
        world.verify(FIRST)
    world.roll_out(SECOND)
    world.verify(SECOND)
    assert world.in_use() == SECOND
    assert world.cluster.get("Service", "digits")["spec"]["ports"] == address


def test_a_release_that_was_right_once_and_has_nothing_to_go_back_to_stays(world: World) -> None:
    world.verify(FIRST)
    world.faults[FIRST] = WRONG
    with pytest.raises(Permanent):
        world.verify(FIRST)
    assert (world.in_use(), world.traffic().release) == (FIRST, FIRST)
    assert "nothing to go back to" in world.entries()[-1].data["action"]


def test_after_going_back_the_next_release_goes_forward(world: World) -> None:
    world.roll_out(SECOND)
    world.faults[SECOND] = WRONG
    with pytest.raises(Permanent):
        world.verify(SECOND)
    assert world.roll_out(THIRD).previous == FIRST
    world.verify(THIRD)
    assert names.WITHDRAWN not in names.annotations_of(world.cluster.get("Service", "digits"))


@pytest.mark.parametrize("silent", ["cluster", "pods"])
def test_what_could_not_be_looked_at_is_no_verdict(world: World, silent: str) -> None:
    world.roll_out(SECOND)
    if silent == "pods":  # and so is the release before: the network does not carry us
        world.answers = lambda address, answer: None
    else:
        world.cluster.before = _refuse_lists
    with pytest.raises(Temporary):
        world.verify(SECOND)
    world.live()
    assert (world.in_use(), world.traffic().verified) == (SECOND, False)
    world.answers = lambda address, answer: answer
    world.verify(SECOND)
    assert world.traffic().verified


def _refuse_lists(call: str, kind: str) -> None:
    if call == "list":
        raise Temporary(Reason.CLUSTER_UNAVAILABLE, "no answer")


def test_silence_is_a_verdict_where_the_release_before_answers(world: World) -> None:
    world.roll_out(SECOND)
    world.answers = lambda address, answer: None if answer and answer["release"] == SECOND else answer
    with pytest.raises(Permanent) as caught:
        world.verify(SECOND)
    assert caught.value.reason == Reason.VERIFY_UNREACHABLE
    _assert_back(world)


def test_a_storage_that_is_down_keeps_nobody_from_going_back(world: World) -> None:
    world.roll_out(SECOND)
    world.faults[SECOND] = WRONG
    world.ledger.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob storage does not answer.")
    with pytest.raises(Permanent):
        world.verify(SECOND)
    world.ledger.fault = None
    _assert_back(world)
    assert world.traffic().release == SECOND, "the record does not know yet"
    world.finish()
    assert (world.traffic().release, world.traffic().verified) == (FIRST, True)


def test_a_newer_release_in_use_is_left_alone(world: World) -> None:
    world.roll_out(SECOND)
    before = dict(world.cluster.objects)
    with pytest.raises(Permanent) as caught:
        world.verify(FIRST)
    assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
    assert world.cluster.objects == before


def test_an_older_release_in_use_is_a_failure(world: World) -> None:
    before = dict(world.cluster.objects)
    with pytest.raises(Permanent) as caught:
        world.verify(SECOND)
    assert caught.value.reason == Reason.VERIFY_WRONG_RELEASE
    assert world.cluster.objects == before


def test_a_selector_changed_by_hand(world: World) -> None:
    world.roll_out(SECOND)
    service = world.cluster.objects[("Service", "digits")]
    service["spec"]["selector"] = names.selector("digits")
    with pytest.raises(Permanent) as caught:
        world.verify(SECOND)
    assert caught.value.reason == Reason.VERIFY_WRONG_RELEASE
    assert service["spec"]["selector"] != world.cluster.get("Service", "digits")["spec"]["selector"]


def test_pods_of_another_image(world: World) -> None:
    world.roll_out(SECOND)
    world.cluster.behaviours[image(SECOND)] = Behaviour(image_id=image(FIRST))
    with pytest.raises(Permanent) as caught:
        world.verify(SECOND)
    assert caught.value.reason == Reason.VERIFY_WRONG_RELEASE
    assert world.in_use() == FIRST


def test_a_runtime_that_names_no_digest_is_believed(world: World) -> None:
    world.cluster.behaviours[image(FIRST)] = Behaviour(image_id="sha256:" + "0" * 64)
    world.verify(FIRST)


def test_one_pod_of_several_answers_as_another(world: World) -> None:
    world.roll_out(SECOND, replicas=3)
    world.answers = lambda address, answer: (
        {**answer, "model": {"version": "old", "sha256": "0"}}
        if answer and address.startswith("http://10.")
        else answer
    )
    with pytest.raises(Permanent) as caught:
        world.verify(SECOND, replicas=3)
    assert caught.value.reason == Reason.VERIFY_WRONG_RELEASE
    assert "model.version" in caught.value.sentence
    assert world.in_use() == FIRST


def test_a_pod_that_does_not_answer(world: World) -> None:
    world.answers = lambda address, answer: None if address.startswith("http://10.") else answer
    with pytest.raises(Temporary) as caught:
        world.verify(FIRST)
    assert caught.value.reason == Reason.VERIFY_UNREACHABLE


def test_a_service_without_ready_pods(world: World) -> None:
    world.roll_out(SECOND)
    world.cluster.behaviours[image(SECOND)] = Behaviour(ready_after=None)
    with pytest.raises(Permanent) as caught:
        world.verify(SECOND)
    assert caught.value.reason == Reason.VERIFY_UNREACHABLE
    assert world.in_use() == FIRST


def _second_is_wrong() -> World:
    world = World()
    world.roll_out(FIRST)
    world.roll_out(SECOND)
    world.faults[SECOND] = WRONG
    return world


def _verify_failing(world: World) -> None:
    with pytest.raises(Permanent):
        world.verify(SECOND)


def test_killed_at_any_call_and_done_again_users_are_back() -> None:
    probe = _second_is_wrong()
    for call in range(1, probe.calls(lambda: _verify_failing(probe)) + 1):
        world = _second_is_wrong()
        world.kill_at(call, dead=True)
        with pytest.raises(Killed):
            world.verify(SECOND)
        world.live()
        world.check()
        _verify_failing(world)
        _assert_back(world)
        assert world.entries()[-1].key.startswith(f"{SECOND}/staging.verify/failed/")


def test_killed_at_any_call_a_first_release_is_out_of_the_traffic() -> None:
    def first_is_wrong() -> World:
        world = World()
        world.roll_out(FIRST)
        world.faults[FIRST] = WRONG
        return world

    def verify_failing(world: World) -> None:
        with pytest.raises(Permanent):
            world.verify(FIRST)

    probe = first_is_wrong()
    for call in range(1, probe.calls(lambda: verify_failing(probe)) + 1):
        world = first_is_wrong()
        world.kill_at(call, dead=True)
        with pytest.raises(Killed):
            world.verify(FIRST)
        world.live()
        verify_failing(world)
        _assert_first_is_out(world)


def test_killed_at_any_call_a_good_release_stays() -> None:
    probe = World()
    probe.roll_out(FIRST)
    for call in range(1, probe.calls(lambda: probe.verify(FIRST)) + 1):
        world = World()
        world.roll_out(FIRST)
        world.kill_at(call, dead=True)
        with pytest.raises(Killed):
            world.verify(FIRST)
        world.live()
        world.verify(FIRST)
        assert world.in_use() == FIRST
        assert [entry.reason for entry in world.entries()] == [Reason.ROLLED_OUT, Reason.VERIFIED]


def test_going_back_brings_the_settings_of_then_back() -> None:
    world = World()
    world.roll_out(FIRST)
    world.spec = {**SPEC, "environments": [{**one, "service_type": "ClusterIP"} for one in SPEC["environments"]]}
    world.roll_out(SECOND, service_type="ClusterIP")
    world.faults[SECOND] = WRONG
    with pytest.raises(Permanent):
        world.verify(SECOND, service_type="ClusterIP")
    assert world.cluster.get("Service", "digits")["spec"]["type"] == "NodePort"


def test_a_warm_release_keeps_its_pods_and_the_next_starts_with_as_many_as_the_load_asked_for() -> None:
    autoscale = {"minimum": 1, "maximum": 30}
    world = World()
    world.roll_out(FIRST, autoscale=autoscale)
    world.cluster.patch("Deployment", "digits-20261121-1", {"spec": {"replicas": 20}})
    world.roll_out(SECOND, autoscale=autoscale)
    wanted = {
        name: world.cluster.get("Deployment", name)["spec"]["replicas"] for name in world.cluster.names("Deployment")
    }
    assert wanted == {"digits-20261121-1": 20, "digits-20261121-2": 20}
    assert world.cluster.names("HorizontalPodAutoscaler") == ["digits-20261121-2"], "the warm one would shrink"
