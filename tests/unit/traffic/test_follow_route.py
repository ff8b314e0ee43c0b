"""Who comes through a gateway gets the release that the stable Service points to, whatever happens."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from nightferry.entities.probe_report import Fault
from nightferry.errors import NightferryError, Permanent
from nightferry.manifests import names
from nightferry.manifests.route import weights_of
from nightferry.steps.rollout.left_over import retire_left_over

from tests.fakes.worlds.rollout_world import Killed, World

FIRST, SECOND, THIRD = "digits-2026-11-21.1", "digits-2026-11-21.2", "digits-2026-11-21.3"
GATEWAY: dict[str, Any] = {
    "name": "production",
    "namespace": "production",
    "traffic": {"gateway": "users", "host": "digits.nightferry.test"},
}
SERVICE_ALONE = {"name": "production", "namespace": "production"}
WRONG = Fault(kind="golden", sentence="0.png should give 0, got 3.")


def released(world: World, release: str, **environment: Any) -> None:
    world.clock.advance(60)
    given = environment or GATEWAY
    world.roll_out(release, **given)
    world.verify(release, **given)


def served(*releases: str) -> World:
    world = World()
    for release in releases:
        released(world, release)
    return world


def sent(world: World) -> list[str]:
    """The releases that get users through the gateway."""
    found = world.cluster.get("HTTPRoute", "digits")
    assert found is not None
    there = [name for name, weight in weights_of(found).items() if weight]
    assert set(there) <= set(world.cluster.names("Service")), "the gateway would answer 500"
    return there


def agree(world: World, release: str) -> None:
    assert (world.in_use(), world.traffic("production").release) == (release, release)
    assert sent(world) == [names.object_name(release)]


def test_users_of_the_gateway_follow_a_release() -> None:
    world = served(FIRST)
    agree(world, FIRST)
    released(world, SECOND)
    agree(world, SECOND)


def test_a_release_is_known_before_it_gets_users() -> None:
    world, told = served(FIRST), list[tuple[str | None, dict[str, int]]]()

    def look(call: str, kind: str) -> None:
        found = world.cluster.objects.get(("HTTPRoute", "digits"))
        told.append((world.in_use(), dict(weights_of(found)) if found else {}))

    world.cluster.before = look
    world.roll_out(SECOND, **GATEWAY)
    world.live()
    first, second = names.object_name(FIRST), names.object_name(SECOND)
    assert (FIRST, {first: 100, second: 0}) in told, "before the Service is switched, so that the route follows at once"
    assert all(not weights.get(second) or current == SECOND for current, weights in told)


def test_they_follow_back_when_a_release_is_wrong() -> None:
    world = served(FIRST)
    world.faults[SECOND] = WRONG
    world.clock.advance(60)
    with pytest.raises(Permanent):
        released(world, SECOND)
    assert sent(world) == [names.object_name(FIRST)]
    released(world, THIRD)
    world.faults[THIRD] = WRONG
    with pytest.raises(Permanent):
        world.verify(THIRD, **GATEWAY)
    agree(world, FIRST)


def test_they_follow_a_person_back() -> None:
    world = served(FIRST, SECOND)
    world.roll_back()
    assert sent(world) == [names.object_name(FIRST)]


def test_a_service_moves_behind_a_gateway_and_its_users_stay() -> None:
    world = World()
    released(world, FIRST, **SERVICE_ALONE)
    assert world.cluster.names("HTTPRoute") == []
    world.clock.advance(60)
    world.roll_out(SECOND, **GATEWAY)
    agree_route = sent(world)
    assert agree_route == [names.object_name(SECOND)]


def test_who_still_comes_through_a_gateway_that_is_no_longer_named_follows_too() -> None:
    world = served(FIRST)
    released(world, SECOND, **SERVICE_ALONE)
    agree(world, SECOND)
    released(world, THIRD, **SERVICE_ALONE)
    agree(world, THIRD)


def test_a_hand_at_the_route_is_seen_and_put_right() -> None:
    world = served(FIRST, SECOND)
    route = world.cluster.get("HTTPRoute", "digits")
    assert route is not None
    (rule,) = route["spec"]["rules"]
    for backend in rule["backendRefs"]:
        backend["weight"] = 50
    world.cluster.patch("HTTPRoute", "digits", {"spec": {"rules": [rule]}})
    assert len(sent(world)) == 2
    world.verify(SECOND, **GATEWAY)
    agree(world, SECOND)


def test_of_a_removed_release_nothing_stays_in_the_route() -> None:
    world = served(FIRST)
    world.faults[SECOND] = WRONG
    with suppress(NightferryError):
        world.roll_out(SECOND, **GATEWAY)
    released(world, THIRD)
    found = world.cluster.get("HTTPRoute", "digits")
    assert found is not None
    assert names.object_name(SECOND) not in weights_of(found)


def test_a_service_that_is_removed_takes_its_route_with_it() -> None:
    world = served(FIRST)
    retire_left_over(world.cluster, "digits", world.clock, everything=True)
    assert world.cluster.names("HTTPRoute") == []


@pytest.mark.parametrize("wrong", [False, True])
def test_killed_at_any_call_the_next_look_leads_all_to_one_release(wrong: bool) -> None:
    def world_before() -> World:
        world = served(FIRST)
        world.clock.advance(60)
        if wrong:
            world.roll_out(SECOND, **GATEWAY)
            world.faults[SECOND] = WRONG
        return world

    def work(world: World) -> None:
        if not wrong:
            world.roll_out(SECOND, **GATEWAY)
        world.verify(SECOND, **GATEWAY)

    world = world_before()
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    world.cluster.before = world.ledger.before = count
    with suppress(NightferryError):
        work(world)
    world.live()
    for call in range(1, calls + 1):
        world = world_before()
        world.kill_at(call, dead=True)
        with suppress(Killed, NightferryError):
            work(world)
        world.live()
        for _ in range(2):
            world.clock.advance(700)
            with suppress(NightferryError):
                world.finish("production")
        current = str(world.in_use())
        assert current in ((FIRST,) if wrong else (FIRST, SECOND))
        agree(world, current)
