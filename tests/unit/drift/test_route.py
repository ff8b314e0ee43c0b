"""A hand at the route is drift, is told once, and is put back; a canary's share is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nightferry.entities.reason import Reason
from nightferry.manifests import names
from nightferry.manifests.deployment import deployment
from nightferry.manifests.route import weights_of
from nightferry.steps.rollout.drift.heal import heal, look_and_record
from nightferry.steps.rollout.drift.look import look
from nightferry.steps.rollout.drift.put_back import put_back_route
from nightferry.steps.rollout.follow_route import Share, give_share, make_known

from tests.fakes.worlds.rollout_world import World
from tests.unit.drift.test_find import NEXT, RELEASE, serving

GATEWAY = {"traffic": {"gateway": "users", "host": "digits.nightferry.test"}}
OTHER = {"namespace": "gateway", "name": "admins", "group": "gateway.networking.k8s.io", "kind": "Gateway"}
LAST = "digits-2026-11-21.3"
Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture
def world() -> World:
    return serving(**GATEWAY)


def spec_of(world: World) -> dict[str, Any]:
    spec: dict[str, Any] = world.cluster.objects[("HTTPRoute", "digits")]["spec"]
    return spec


def found(world: World) -> list[str]:
    seen = look("digits", "staging", cluster=world.cluster, ledger=world.ledger, clock=world.clock)
    assert not seen.under_way
    return [one.what for one in seen.drifts]


def nobody(spec: dict[str, Any]) -> None:
    spec["rules"][0]["backendRefs"][0]["weight"] = 0


def stranger(spec: dict[str, Any]) -> None:
    backend = spec["rules"][0]["backendRefs"][0]
    spec["rules"][0]["backendRefs"].append({**backend, "name": "stranger", "weight": 1})


EDITS: dict[str, tuple[Edit, list[str]]] = {
    "nobody": (nobody, ["users"]),
    "a share for a stranger": (stranger, ["users"]),
    "another host": (lambda spec: spec.update(hostnames=["other.example"]), ["hosts"]),
    "another gateway": (lambda spec: spec.update(parentRefs=[OTHER]), ["gateway"]),
    "a rule more": (lambda spec: spec["rules"].append({"backendRefs": []}), ["number of rules"]),
    "a path only": (lambda spec: spec["rules"][0].update(matches=[{"path": {"value": "/v2"}}]), ["matches"]),
    "a time limit": (lambda spec: spec["rules"][0].update(timeouts={"request": "1s"}), ["timeouts"]),
    "no rules": (lambda spec: spec.update(rules=[]), ["users", "number of rules", "matches", "timeouts"]),
}


def test_a_route_as_it_was_written_is_no_drift(world: World) -> None:
    assert found(world) == []


@pytest.mark.parametrize("edit", EDITS)
def test_a_hand_at_the_route_is_told_once_and_put_back(world: World, edit: str) -> None:
    change, what = EDITS[edit]
    change(spec_of(world))
    assert found(world) == what
    for _ in range(2):
        look_and_record("digits", "staging", cluster=world.cluster, ledger=world.ledger, clock=world.clock)
    assert [one.reason for one in world.entries()].count(Reason.DRIFTED) == len(what)
    heal("digits", "staging", cluster=world.cluster, ledger=world.ledger, clock=world.clock)
    assert found(world) == []
    assert [name for name, weight in weights_of({"spec": spec_of(world)}).items() if weight] == [
        names.object_name(RELEASE)
    ]


def test_a_route_that_was_deleted_is_made_anew(world: World) -> None:
    del world.cluster.objects[("HTTPRoute", "digits")]
    assert found(world) == ["existence"]
    heal("digits", "staging", cluster=world.cluster, ledger=world.ledger, clock=world.clock)
    assert found(world) == []


def test_shares_of_another_sum_are_the_same_shares(world: World) -> None:
    spec_of(world)["rules"][0]["backendRefs"][0]["weight"] = 7
    assert found(world) == []


def test_a_canarys_share_is_no_drift_and_another_one_is_put_back_to_it(world: World) -> None:
    coming = world.plan(NEXT, **GATEWAY)
    assert world.cluster.create(deployment(coming))
    make_known(world.cluster, "digits", coming.environment, NEXT, world.clock)
    give_share(world.cluster, "digits", coming.environment, Share(NEXT, 10, coming.order), lambda _: None)
    assert found(world) == []
    for backend in spec_of(world)["rules"][0]["backendRefs"]:
        backend["weight"] = 50
    assert found(world) == ["users"]
    put_back_route(world.cluster, world.plan(RELEASE, **GATEWAY), world.traffic(), world.clock)
    assert weights_of({"spec": spec_of(world)}) == {names.object_name(RELEASE): 90, names.object_name(NEXT): 10}


def test_a_service_that_is_put_back_is_still_followed_by_the_route_of_before(world: World) -> None:
    """The service file names no gateway any more; who still comes through it gets what is in use."""
    world.roll_out(NEXT)
    world.verify(NEXT)
    world.clock.advance(120)
    world.cluster.objects[("Service", "digits")]["spec"]["selector"] = {"app": "stranger"}
    healed = heal("digits", "staging", cluster=world.cluster, ledger=world.ledger, clock=world.clock)
    assert healed
    world.roll_out(LAST)
    weights = weights_of(world.cluster.objects[("HTTPRoute", "digits")])
    assert {name for name, weight in weights.items() if weight} == {names.object_name(LAST)}
