"""What differs between the cluster and the record is found, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nightferry.entities.reason import Reason
from nightferry.entities.state.drift import Drift
from nightferry.errors import NightferryError, Temporary
from nightferry.manifests import names
from nightferry.steps.record.rollout_record import record_order
from nightferry.steps.rollout.drift.look import Look, look

from tests.fakes.memory.memory_cluster import Behaviour
from tests.fakes.worlds.rollout_world import World, image

RELEASE, NEXT = "digits-2026-11-21.1", "digits-2026-11-21.2"
DEPLOYMENT = ("Deployment", names.object_name(RELEASE))
SERVICE = ("Service", "digits")
SETTINGS = {"SERVING_THREADS": "2", "EMPTY": ""}


@pytest.fixture
def world() -> World:
    """Staging serves a release, for some time."""
    return serving()


def serving(**environment: Any) -> World:
    world = World()
    given = {"replicas": 2, "settings": SETTINGS} | environment
    world.roll_out(RELEASE, **given)
    world.verify(RELEASE, **given)
    world.clock.sleep(120)
    defaulted(world)
    return world


def defaulted(world: World) -> None:
    """What an API server adds to a Deployment and a Service, and how it writes what it was given."""
    deployment = world.cluster.objects[DEPLOYMENT]
    pod = deployment["spec"]["template"]["spec"]
    pod |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
    (container,) = pod["containers"]
    container |= {"terminationMessagePath": "/dev/termination-log"}
    container["resources"]["limits"] |= {"cpu": "1000m", "memory": "1073741824"}
    for variable in container["env"]:
        if not variable["value"]:
            del variable["value"]
    deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1"
    deployment["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "2026-11-21"
    service = world.cluster.objects[SERVICE]
    service["spec"] |= {"sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"]}
    service["metadata"]["annotations"]["example.org/owner"] = "somebody"


def seen(world: World, **more: Any) -> Look:
    return look("digits", "staging", cluster=world.cluster, ledger=world.ledger, clock=world.clock, **more)


def container(world: World) -> Any:
    found = world.cluster.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]
    return found  # the very one, to be changed


def variables(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = container(world)["env"]
    return found


def changed(world: World, name: str, value: str) -> None:
    next(one for one in variables(world) if one["name"] == name)["value"] = value


def without(world: World, name: str) -> None:
    container(world)["env"] = [one for one in variables(world) if one["name"] != name]


def test_what_was_rolled_out_is_no_drift(world: World) -> None:
    assert seen(world) == Look("digits", "staging", RELEASE, unseen=frozenset({"passport"}))


EDITS: dict[str, tuple[Callable[[World], object], str]] = {
    "image": (lambda world: container(world).update(image=image("other")), "image"),
    "scaled down": (lambda world: world.cluster.objects[DEPLOYMENT]["spec"].update(replicas=0), "replicas"),
    "scaled up": (lambda world: world.cluster.objects[DEPLOYMENT]["spec"].update(replicas=3), "replicas"),
    "variable added": (lambda world: variables(world).append({"name": "X", "value": "1"}), "variable X"),
    "variable changed": (lambda world: changed(world, "SERVING_THREADS", "9"), "variable SERVING_THREADS"),
    "variable removed": (lambda world: without(world, "SERVING_THREADS"), "variable SERVING_THREADS"),
    "empty variable removed": (lambda world: without(world, "EMPTY"), "variable EMPTY"),
    "passport changed": (lambda world: changed(world, "NIGHTFERRY_SOURCE", "f" * 40), "variable NIGHTFERRY_SOURCE"),
    "variables from elsewhere": (
        lambda world: container(world).update(envFrom=[{"secretRef": {"name": "other"}}]),
        "sources of variables",
    ),
    "command": (lambda world: container(world).update(command=["sleep"]), "command"),
    "args": (lambda world: container(world).update(args=["--debug"]), "args"),
    "request": (lambda world: container(world)["resources"]["requests"].update(cpu="1"), "request of cpu"),
    "limit gone": (lambda world: container(world)["resources"]["limits"].pop("memory"), "limit of memory"),
    "container added": (
        lambda world: world.cluster.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"].append(
            {"name": "debug", "image": "busybox"}
        ),
        "container debug",
    ),
    "deployment gone": (lambda world: world.cluster.delete(*DEPLOYMENT), "existence"),
    "service gone": (lambda world: world.cluster.delete(*SERVICE), "existence"),
    "selector": (
        lambda world: world.cluster.objects[SERVICE]["spec"]["selector"].update({names.VERSION: NEXT}),
        "selector",
    ),
    "selector wider": (
        lambda world: world.cluster.objects[SERVICE]["spec"]["selector"].pop(names.VERSION),
        "selector",
    ),
    "annotation": (
        lambda world: world.cluster.objects[SERVICE]["metadata"]["annotations"].update({names.RELEASE: NEXT}),
        f"annotation {names.RELEASE}",
    ),
    "port": (lambda world: world.cluster.objects[SERVICE]["spec"]["ports"][0].update(port=81), "port 80"),
    "target port": (
        lambda world: world.cluster.objects[SERVICE]["spec"]["ports"][0].update(targetPort=9),
        "port 80",
    ),
    "type": (lambda world: world.cluster.objects[SERVICE]["spec"].update(type="ClusterIP"), "type"),
}


@pytest.mark.parametrize("name", EDITS)
def test_every_hand_edit_is_one_finding(world: World, name: str) -> None:
    edit, what = EDITS[name]
    edit(world)
    (found,) = seen(world).drifts
    assert found.what == what
    assert found.cause == seen(world).drifts[0].cause
    assert what in found.sentence


def test_the_same_place_with_another_value_is_another_cause(world: World) -> None:
    causes = set()
    for value in ("3", "4", "3"):
        changed(world, "SERVING_THREADS", value)
        causes.add(seen(world).drifts[0].cause)
    assert len(causes) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("X", "hunter2"), ("DB_PASSWORD", "hunter2"), ("SERVING_THREADS", "https://eva:hunter2@example.org")],
)
def test_what_may_be_a_secret_is_never_said(world: World, name: str, value: str) -> None:
    without(world, name)
    variables(world).append({"name": name, "value": value})
    (found,) = seen(world).drifts
    assert "hunter2" not in str(found) + found.sentence


def test_what_an_autoscaler_may_do_is_no_drift() -> None:
    world = serving(autoscale={"minimum": 2, "maximum": 5})
    spec = world.cluster.objects[DEPLOYMENT]["spec"]
    for replicas in (2, 5):
        spec["replicas"] = replicas
        assert seen(world).drifts == ()
    for replicas in (1, 6, 0):
        spec["replicas"] = replicas
        assert [one.what for one in seen(world).drifts] == ["replicas"]


def test_a_pod_that_runs_another_image_is_found(world: World) -> None:
    pod = next(one for (kind, _), one in world.cluster.objects.items() if kind == "Pod")
    pod["spec"]["containers"][0]["image"] = image("other")
    assert [one.what for one in seen(world).drifts] == ["pod image"]


def test_a_runtime_that_runs_another_digest_is_found(world: World) -> None:
    world.cluster.behaviours[image(RELEASE)] = Behaviour(image_id=image("other"))
    (found,) = seen(world).drifts
    assert (found.what, found.found) == ("pod image", image("other"))


def test_pods_say_nothing_while_they_are_made_anew(world: World) -> None:
    pod = next(one for (kind, _), one in world.cluster.objects.items() if kind == "Pod")
    pod["spec"]["containers"][0]["image"] = image("other")
    get = world.cluster.get

    def halfway(kind: str, name: str) -> Any:
        found = get(kind, name)
        if kind == "Deployment" and found:
            found["status"] |= {"replicas": 2, "updatedReplicas": 1}
        return found

    world.cluster.get = halfway  # type: ignore[method-assign]
    assert seen(world) == Look("digits", "staging", RELEASE, unseen=frozenset({"pod image", "passport"}))


def test_a_pod_that_ends_says_nothing(world: World) -> None:
    pod = next(one for (kind, _), one in world.cluster.objects.items() if kind == "Pod")
    pod["spec"]["containers"][0]["image"] = image("other")
    pod["metadata"]["deletionTimestamp"] = "now"
    assert seen(world).drifts == ()


def test_a_pod_that_answers_as_another_is_found_where_it_is_asked(world: World) -> None:
    world.answers = lambda address, answer: answer and {**answer, "release": NEXT}
    assert seen(world).drifts == ()
    assert [one.what for one in seen(world, ask=lambda plan: world.ask).drifts] == ["passport"]


def test_a_pod_that_is_silent_is_no_finding(world: World) -> None:
    assert seen(world, ask=lambda plan: lambda address: None).drifts == ()


@pytest.mark.parametrize("part", ["cluster", "ledger"])
def test_what_does_not_answer_is_an_error_and_no_finding(world: World, part: str) -> None:
    EDITS["image"][0](world)
    getattr(world, part).fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "Away.")
    with pytest.raises(NightferryError):
        seen(world)


def test_a_service_that_the_record_is_behind_is_an_error(world: World) -> None:
    world.cluster.objects[SERVICE]["metadata"]["annotations"][names.ORDER] = "999"
    with pytest.raises(NightferryError) as raised:
        seen(world)
    assert raised.value.reason == Reason.LEDGER_BEHIND


def test_at_no_call_of_a_rollout_is_there_drift() -> None:
    """Looked at before each call of the rollout to the outside, and a minute after it: what it does is its own."""
    world = serving()
    found: list[Drift] = []
    plan = world.plan(NEXT, replicas=2, settings=SETTINGS)
    inside = False

    def watch(*_: object) -> None:
        nonlocal inside
        if not inside:
            inside = True
            found.extend(seen(world).drifts)
            inside = False

    world.cluster.before = world.ledger.before = watch
    world.roll_out(NEXT, replicas=2, settings=SETTINGS)
    world.look(plan)
    world.live()
    world.clock.sleep(120)
    assert found == []
    assert seen(world) == Look("digits", "staging", NEXT, unseen=frozenset({"passport"}))


def test_what_differs_is_found_while_the_next_release_is_built(world: World) -> None:
    """A release that is decided and has not ended keeps nobody from looking at the one in use."""
    world.plan(NEXT)
    EDITS["image"][0](world)
    assert [one.what for one in seen(world).drifts] == ["image"]


def test_at_no_call_of_going_back_is_there_drift() -> None:
    world = serving()
    world.roll_out(NEXT, replicas=2, settings=SETTINGS)
    world.clock.sleep(120)
    found: list[Drift] = []
    inside = False

    def watch(*_: object) -> None:
        nonlocal inside
        if not inside:
            inside = True
            found.extend(seen(world).drifts)
            inside = False

    world.cluster.before = world.ledger.before = watch
    world.answers = lambda address, answer: (
        {**answer, "source": "f" * 40} if answer and answer["release"] == NEXT else answer
    )
    with pytest.raises(NightferryError):
        world.verify(NEXT, replicas=2, settings=SETTINGS)
    world.live()
    world.clock.sleep(120)
    assert world.in_use() == RELEASE
    assert found == []
    assert seen(world).drifts == ()


def test_a_rollback_that_the_record_does_not_have_yet_is_no_drift(world: World) -> None:
    world.roll_out(NEXT, replicas=2, settings=SETTINGS)
    world.verify(NEXT, replicas=2, settings=SETTINGS)
    world.clock.sleep(120)
    world.ledger.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Away.")
    world.roll_back(environment="staging")
    world.ledger.fault = None
    world.clock.sleep(120)
    assert "rolled back" in seen(world).under_way


def test_a_switch_of_a_moment_ago_is_left_to_whoever_switched(world: World) -> None:
    world.roll_out(NEXT, replicas=2, settings=SETTINGS)
    world.cluster.objects[SERVICE]["spec"]["type"] = "ClusterIP"
    assert seen(world).under_way
    world.clock.sleep(61)
    assert [one.what for one in seen(world).drifts] == ["type"]


def test_a_switch_that_the_record_does_not_have_yet_is_no_drift(world: World) -> None:
    """Whoever switched was killed before writing it; the retiring run completes the record."""

    def kill(call: str, kind: str) -> None:
        if (
            (call, kind) == ("apply", "Service")
            and names.object_name(NEXT) in world.cluster.names("Deployment")
            and (world.note(NEXT, names.SWITCHING))
        ):
            world.ledger.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Away.")

    world.cluster.before = kill
    with pytest.raises(NightferryError):
        world.roll_out(NEXT, replicas=2, settings=SETTINGS)
    world.live()
    world.ledger.fault = None
    world.clock.sleep(120)
    assert (world.in_use(), world.traffic().release) == (NEXT, RELEASE)
    assert "the record follows" in seen(world).under_way


def test_a_withdrawal_that_is_ordered_and_not_done_is_no_drift(world: World) -> None:
    EDITS["selector"][0](world)
    why = Temporary(Reason.VERIFY_GOLDEN_WRONG, "Wrong.")
    record_order(world.ledger, world.clock, world.plan(RELEASE, replicas=2, settings=SETTINGS), why)
    assert "being taken out of use" in seen(world).under_way


def test_what_was_moved_while_it_was_looked_at_is_not_judged(world: World) -> None:
    EDITS["image"][0](world)
    moved: list[str] = []

    def move(call: str, kind: str) -> None:
        if (call, kind) == ("get", "Deployment") and not moved:
            moved.append(NEXT)
            world.roll_out(NEXT, replicas=2, settings=SETTINGS)

    world.cluster.before = move
    assert "while it was looked at" in seen(world).under_way
    assert world.in_use() == NEXT
