"""Retiring releases: what is scaled to zero, what is kept, what is removed."""

from __future__ import annotations

import pytest
from nightferry.entities.probe_report import Fault
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.steps.rollout.retire_releases import Retired, retire_releases

from tests.fakes.worlds.rollout_world import Killed, World

AUTOSCALE = {"minimum": 2, "maximum": 4}


def releases(count: int) -> list[str]:
    return [f"digits-2026-11-{day:02d}.1" for day in range(1, count + 1)]


def world_with(count: int) -> World:
    world = World()
    for release in releases(count):
        world.roll_out(release, autoscale=AUTOSCALE, warm_minutes=30)
    return world


def retire(world: World) -> Retired:
    return retire_releases(world.cluster, "digits", world.clock)


def replicas(world: World) -> dict[str, int]:
    return {
        name: world.cluster.get("Deployment", name)["spec"]["replicas"] for name in world.cluster.names("Deployment")
    }


def test_a_warm_release_stays() -> None:
    world = world_with(2)
    world.clock.advance(29 * 60)
    assert retire(world) == Retired()
    assert set(replicas(world).values()) == {2}


def test_past_its_time_it_is_scaled_to_zero() -> None:
    world = world_with(2)
    world.clock.advance(31 * 60)
    assert retire(world).scaled == ("digits-2026-11-01.1",)
    assert replicas(world) == {"digits-20261101-1": 0, "digits-20261102-1": 2}
    assert world.note("digits-2026-11-01.1", names.REPLICAS) == "2"
    for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget"):
        assert world.cluster.names(kind) == ["digits-20261102-1"]


def test_done_again_it_changes_nothing() -> None:
    world = world_with(3)
    world.clock.advance(31 * 60)
    retire(world)
    before = dict(world.cluster.objects)
    assert retire(world) == Retired()
    assert world.cluster.objects == before


def test_the_newest_five_are_kept() -> None:
    world = world_with(8)
    world.clock.advance(31 * 60)
    assert retire(world).removed == ("digits-2026-11-01.1", "digits-2026-11-02.1")
    assert world.cluster.names("Deployment") == [f"digits-2026110{day}-1" for day in range(3, 9)]
    assert world.in_use() == "digits-2026-11-08.1"


def test_a_scaled_down_release_can_be_gone_back_to() -> None:
    world = world_with(2)
    world.clock.advance(31 * 60)
    retire(world)
    world.faults["digits-2026-11-02.1"] = Fault(kind="golden", sentence="It is wrong.")
    with pytest.raises(Permanent):
        world.verify("digits-2026-11-02.1", autoscale=AUTOSCALE)
    assert world.in_use() == "digits-2026-11-01.1"
    assert world.cluster.names("HorizontalPodAutoscaler") == ["digits-20261101-1"]
    assert replicas(world) == {"digits-20261101-1": 2}


def test_a_leftover_of_a_killed_rollout_is_removed() -> None:
    world = world_with(1)

    def killed_while_pods_start(call: str, kind: str) -> None:
        if kind == "Pod":
            world.kill_at(0, dead=True)
            raise Killed

    world.cluster.before = killed_while_pods_start
    with pytest.raises(Killed):
        world.roll_out("digits-2026-11-02.1", autoscale=AUTOSCALE)
    world.live()
    assert "digits-20261102-1" in world.cluster.names("Deployment")
    assert retire(world) == Retired(), "it may still be under way"
    world.roll_out("digits-2026-11-03.1", autoscale=AUTOSCALE)
    assert retire(world).removed == ("digits-2026-11-02.1",)
    assert world.cluster.names("Deployment") == ["digits-20261101-1", "digits-20261103-1"]


def test_going_back_at_the_same_moment_wins() -> None:
    """Whichever call of retiring is the one before which users are sent back."""
    probe = world_with(2)
    probe.clock.advance(31 * 60)
    for call in range(1, probe.calls(lambda: retire(probe)) + 1):
        world = world_with(2)
        world.clock.advance(31 * 60)
        world.faults["digits-2026-11-02.1"] = Fault(kind="golden", sentence="It is wrong.")
        _go_back_at(world, call)
        retire(world)
        world.check()
        assert world.in_use() == "digits-2026-11-01.1"
        assert replicas(world) == {"digits-20261101-1": 2}, call


def _go_back_at(world: World, call: int) -> None:
    count = 0

    def tick(*_: object) -> None:
        nonlocal count
        count += 1
        if count == call:
            world.live()
            with pytest.raises(Permanent):
                world.verify("digits-2026-11-02.1", autoscale=AUTOSCALE)

    world.cluster.before = tick


def test_without_a_release_in_use_nothing_is_touched() -> None:
    assert retire(World()) == Retired()
