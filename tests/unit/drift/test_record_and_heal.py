"""Drift is on the record once for as long as it is there, and is put back where that is asked for."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest
from nightferry.clients.doors.cluster import ClusterConflict
from nightferry.entities.reason import Reason
from nightferry.entities.state.drift import KEPT_DRIFTS
from nightferry.errors import NightferryError, Temporary
from nightferry.manifests import names
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.drift.heal import heal, look_and_record

from tests.fakes.worlds.rollout_world import Killed, World, image
from tests.unit.drift.test_find import DEPLOYMENT, EDITS, NEXT, RELEASE, SERVICE, SETTINGS, changed, serving, variables

FOUND = [Reason.DRIFTED, Reason.DRIFT_GONE, Reason.HEALED]


@pytest.fixture
def world() -> World:
    return serving()


def recorded(world: World, **more: Any) -> None:
    look_and_record("digits", "staging", cluster=world.cluster, ledger=world.ledger, clock=world.clock, **more)


def healed(world: World, **more: Any) -> list[str]:
    done = heal("digits", "staging", cluster=world.cluster, ledger=world.ledger, clock=world.clock, **more)
    return [one.what for one in done]


def told(world: World) -> list[str]:
    return [entry.reason for entry in world.entries() if entry.reason in FOUND]


def opened(world: World) -> list[str]:
    return [one.what for one in read_state(world.ledger, "digits").drifts.get("staging", ())]


def test_many_looks_write_it_once_and_once_that_it_is_gone(world: World) -> None:
    changed(world, "SERVING_THREADS", "9")
    for _ in range(5):
        recorded(world)
    assert (told(world), opened(world)) == ([Reason.DRIFTED], ["variable SERVING_THREADS"])
    changed(world, "SERVING_THREADS", "2")
    for _ in range(5):
        recorded(world)
    assert (told(world), opened(world)) == ([Reason.DRIFTED, Reason.DRIFT_GONE], [])


def test_the_same_one_that_comes_back_is_written_again(world: World) -> None:
    for value in ("9", "2", "9", "2", "9"):
        changed(world, "SERVING_THREADS", value)
        recorded(world)
        recorded(world)
    once = [Reason.DRIFTED, Reason.DRIFT_GONE]
    assert told(world) == [*once, *once, Reason.DRIFTED]


def test_another_value_ends_the_one_before(world: World) -> None:
    for value in ("8", "9"):
        changed(world, "SERVING_THREADS", value)
        recorded(world)
    assert told(world) == [Reason.DRIFTED, Reason.DRIFT_GONE, Reason.DRIFTED]
    assert opened(world) == ["variable SERVING_THREADS"]


def test_looks_at_the_same_time_write_it_once(world: World) -> None:
    changed(world, "SERVING_THREADS", "9")
    looks = [threading.Thread(target=recorded, args=(world,)) for _ in range(8)]
    for one in looks:
        one.start()
    for one in looks:
        one.join()
    assert told(world) == [Reason.DRIFTED]


def test_two_looks_that_read_before_either_wrote_write_it_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(world, "SERVING_THREADS", "9")
    before = read_state(world.ledger, "digits")
    recorded(world)
    monkeypatch.setattr("nightferry.steps.record.drift_record.read_state", lambda ledger, service: before)
    recorded(world)
    assert told(world) == [Reason.DRIFTED]


def test_what_a_look_could_not_see_is_not_gone(world: World) -> None:
    world.answers = lambda address, answer: answer and {**answer, "release": NEXT}
    recorded(world, ask=lambda plan: world.ask)
    recorded(world)
    assert opened(world) == ["passport"]
    world.answers = lambda address, answer: answer
    recorded(world, ask=lambda plan: world.ask)
    assert opened(world) == []


@pytest.mark.parametrize("part", ["cluster", "ledger"])
def test_silence_writes_and_ends_nothing(world: World, part: str) -> None:
    changed(world, "SERVING_THREADS", "9")
    recorded(world)
    getattr(world, part).fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "Away.")
    with pytest.raises(NightferryError):
        recorded(world)
    getattr(world, part).fault = None
    assert (told(world), opened(world)) == ([Reason.DRIFTED], ["variable SERVING_THREADS"])


def test_another_release_in_use_has_none_of_it(world: World) -> None:
    world.cluster.objects[DEPLOYMENT]["spec"]["replicas"] = 5
    recorded(world)
    world.roll_out(NEXT, replicas=2, settings=SETTINGS)
    assert opened(world) == []


def test_however_much_differs_the_record_stays_bounded(world: World) -> None:
    variables(world).extend({"name": f"X{number}", "value": "1"} for number in range(KEPT_DRIFTS + 5))
    for _ in range(3):
        recorded(world)
    assert (len(told(world)), len(opened(world))) == (KEPT_DRIFTS, KEPT_DRIFTS)


def test_no_secret_comes_on_the_record(world: World) -> None:
    variables(world).append({"name": "PGPASS", "value": "hunter2"})
    changed(world, "SERVING_THREADS", "postgres://eva:hunter2@example.org")
    healed(world)
    assert not [name for name, content in world.ledger.blobs.items() if b"hunter2" in content]


@pytest.mark.parametrize("name", EDITS)
def test_every_hand_edit_is_put_back_and_recorded(world: World, name: str) -> None:
    edit, what = EDITS[name]
    edit(world)
    assert healed(world) == [what]
    assert (told(world), opened(world)) == ([Reason.DRIFTED, Reason.HEALED], [])
    assert healed(world) == []
    assert told(world) == [Reason.DRIFTED, Reason.HEALED]
    world.check()
    assert world.in_use() == RELEASE


def test_all_at_once_is_put_back(world: World) -> None:
    for name in ("image", "scaled up", "variable added", "command", "selector", "type"):
        EDITS[name][0](world)
    assert len(healed(world)) == 6
    assert told(world) == [*[Reason.DRIFTED] * 6, Reason.HEALED]


def test_a_hand_that_changes_it_again_is_put_back_again(world: World) -> None:
    for _ in range(3):
        EDITS["image"][0](world)
        assert healed(world) == ["image"]
    assert told(world) == [Reason.DRIFTED, Reason.HEALED] * 3


def test_an_autoscalers_choice_is_left_and_a_scale_outside_comes_to_its_bound() -> None:
    world = serving(autoscale={"minimum": 2, "maximum": 5})
    spec = world.cluster.objects[DEPLOYMENT]["spec"]
    spec["replicas"] = 4
    EDITS["image"][0](world)
    healed(world)
    assert world.cluster.objects[DEPLOYMENT]["spec"]["replicas"] == 4
    world.cluster.objects[DEPLOYMENT]["spec"]["replicas"] = 9
    healed(world)
    assert world.cluster.objects[DEPLOYMENT]["spec"]["replicas"] == 5


def test_the_users_address_and_the_way_of_the_service_stay(world: World) -> None:
    world.roll_out(NEXT, replicas=2, settings=SETTINGS)
    world.verify(NEXT, replicas=2, settings=SETTINGS)
    world.clock.sleep(120)
    before = world.cluster.objects[SERVICE]
    port, notes = before["spec"]["ports"][0]["nodePort"], dict(before["metadata"]["annotations"])
    EDITS["port"][0](world)
    patch, asked = world.cluster.patch, []

    def watched(kind: str, name: str, changes: dict[str, Any]) -> Any:
        asked.extend(changes["spec"]["ports"] if kind == "Service" else [])
        return patch(kind, name, changes)

    world.cluster.patch = watched  # type: ignore[method-assign]
    world.cluster.objects[SERVICE]["spec"]["selector"][names.VERSION] = RELEASE
    assert healed(world) == ["selector", "port 80"]
    after = world.cluster.objects[SERVICE]
    assert [one["nodePort"] for one in asked] == [after["spec"]["ports"][0]["nodePort"]] == [port]
    assert after["metadata"]["annotations"] == notes


def test_how_a_rollback_came_about_stays_on_the_service(world: World) -> None:
    world.roll_out(NEXT, replicas=2, settings=SETTINGS)
    world.verify(NEXT, replicas=2, settings=SETTINGS)
    world.roll_back(environment="staging")
    world.clock.sleep(120)
    before = dict(world.cluster.objects[SERVICE]["metadata"]["annotations"])
    assert before[names.WITHDRAWN] == NEXT
    world.cluster.objects[SERVICE]["spec"]["selector"][names.VERSION] = NEXT
    assert healed(world) == ["selector"]
    assert world.cluster.objects[SERVICE]["metadata"]["annotations"] == before


def test_going_back_works_after_it(world: World) -> None:
    """What is put back is as fenced as it was: neither the next release nor going back is refused for it."""
    EDITS["selector"][0](world)
    EDITS["annotation"][0](world)
    healed(world)
    world.roll_out(NEXT, replicas=2, settings=SETTINGS)
    world.clock.sleep(120)
    world.answers = lambda address, answer: (
        {**answer, "source": "f" * 40} if answer and answer["release"] == NEXT else answer
    )
    with pytest.raises(NightferryError):
        world.verify(NEXT, replicas=2, settings=SETTINGS)
    assert (world.in_use(), world.traffic().release) == (RELEASE, RELEASE)


def test_a_release_that_was_decided_before_the_healing_still_comes_into_use(world: World) -> None:
    world.plan(NEXT, replicas=2, settings=SETTINGS)
    EDITS["selector"][0](world)
    healed(world)
    world.roll_out(NEXT, replicas=2, settings=SETTINGS)
    assert world.in_use() == NEXT


def test_nothing_is_put_back_while_a_release_is_rolled_out(world: World) -> None:
    plan = world.plan(NEXT, replicas=2, settings=SETTINGS)
    EDITS["selector"][0](world)
    put_back: list[str] = []

    def as_the_candidate_is_asked(address: str, answer: Any) -> Any:
        if address == "candidate" and not put_back:
            put_back.append("asked")
            put_back.extend(healed(world))
        return answer

    world.answers = as_the_candidate_is_asked
    world.roll_out(plan.release, replicas=2, settings=SETTINGS)
    assert put_back == ["asked"]
    assert world.in_use() == NEXT


def test_a_switch_at_any_moment_wins() -> None:
    """The Service is pointed to a newer release at any call of the healing: it stays so."""
    for call in range(1, 200):
        world = serving()
        world.plan(NEXT, replicas=2, settings=SETTINGS)
        EDITS["selector"][0](world)
        count, inside = 0, False

        def tick(*_: object, world: World = world, call: int = call) -> None:
            nonlocal count, inside
            if inside:
                return
            count += 1
            if count == call:
                inside = True
                world.roll_out(NEXT, replicas=2, settings=SETTINGS)
                inside = False

        world.cluster.before = tick
        world.ledger.before = tick
        with suppress(NightferryError):
            healed(world)
        world.live()
        if count < call:
            assert call > 20
            return
        assert (world.in_use(), world.traffic().release) == (NEXT, NEXT), call
    raise AssertionError("it never ended")


def test_killed_at_any_call_the_next_look_completes_it() -> None:
    for call in range(1, 200):
        world = serving()
        EDITS["image"][0](world)
        EDITS["selector"][0](world)
        count = 0

        def tick(*_: object, call: int = call) -> None:
            nonlocal count
            count += 1
            if count >= call:
                raise Killed

        world.cluster.before = tick
        world.ledger.before = tick
        try:
            healed(world)
        except Killed:
            world.live()
            healed(world)
            assert (opened(world), world.in_use()) == ([], RELEASE), call
            ended = sum(len(entry.data["ends"]) for entry in world.entries() if "ends" in entry.data)
            assert told(world).count(Reason.DRIFTED) == ended == 2
            continue
        assert call > 20
        return
    raise AssertionError("it never ended")


def test_somebody_elses_deployment_is_left_alone_and_the_service_is_put_back(world: World) -> None:
    world.cluster.objects[DEPLOYMENT]["metadata"]["labels"].pop(names.MANAGED_BY)
    EDITS["image"][0](world)
    EDITS["type"][0](world)
    with pytest.raises(NightferryError) as raised:
        healed(world)
    assert raised.value.reason == Reason.ROLLOUT_REFUSED
    assert world.cluster.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]["image"] == image("other")
    assert "type" not in opened(world)
    assert "image" in opened(world)


def test_a_hand_in_between_is_read_again(world: World) -> None:
    EDITS["image"][0](world)
    apply, refused = world.cluster.patch, [ClusterConflict(Reason.CLUSTER_UNAVAILABLE, "Changed.")]

    def patch(kind: str, name: str, changes: dict[str, Any]) -> Any:
        if kind == "Deployment" and refused:
            raise refused.pop()
        return apply(kind, name, changes)

    world.cluster.patch = patch  # type: ignore[method-assign]
    assert healed(world) == ["image"]
