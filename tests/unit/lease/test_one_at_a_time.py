"""Whoever starts it and whoever dies: one works on a service at a time, and traffic and record agree in the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent
from nightferry.manifests import names
from nightferry.steps.record.ledger import verify
from nightferry.steps.rollout.lease.claim import LEASE_SECONDS, Claim
from nightferry.steps.rollout.lease.claims import of_housekeeping, of_person, of_rollout
from nightferry.steps.rollout.lease.lease import Lease
from nightferry.steps.rollout.lease.leased_cluster import hold

from tests.fakes.turns import Turns
from tests.fakes.worlds.rollout_world import Killed, World

FIRST, SECOND, THIRD, FOURTH = (f"digits-2026-11-21.{number}" for number in (1, 2, 3, 4))
PRODUCTION = {"name": "production", "namespace": "production"}


def served(*releases: str) -> World:
    """A world under Leases whose production served these releases, one after the other."""
    world = World()
    world.leased = True
    for release in releases:
        world.clock.advance(120)
        world.roll_out(release, **PRODUCTION)
        world.verify(release, **PRODUCTION)
    world.clock.advance(120)
    return world


def calm(world: World) -> None:
    """All who lived are done, and what tidies up comes by; traffic and record agree."""
    world.live()
    world.clock.advance(600)
    world.finish("production")
    assert world.traffic("production").release == world.in_use()
    verify(world.ledger, "digits")


def deed(world: World, release: str) -> None:
    world.roll_out(release, **PRODUCTION)
    world.verify(release, **PRODUCTION)


KILLS: dict[str, Callable[[World], object]] = {
    "rollout": lambda world: deed(world, THIRD),
    "rollback": lambda world: world.roll_back(FIRST),
}


@pytest.mark.parametrize("what", KILLS)
def test_killed_at_any_call_the_next_attempt_takes_over_within_the_lease(what: str) -> None:
    work = KILLS[what]
    world = served(FIRST, SECOND)
    world.plan(THIRD, **PRODUCTION)
    calls = world.calls(lambda: work(world))
    waits = []
    for call in range(1, calls + 1, 9):
        world = served(FIRST, SECOND)
        world.plan(THIRD, **PRODUCTION)
        world.kill_at(call, dead=True)
        with suppress(Killed):
            work(world)
        world.live()
        before = world.clock.slept
        work(world)
        waits.append(world.clock.slept - before)
        assert world.in_use() == (THIRD if what == "rollout" else FIRST)
        calm(world)
    ready = min(waits)
    assert max(waits) - ready >= LEASE_SECONDS - 2, "some of the killed ones had the Lease"
    assert max(waits) - ready <= LEASE_SECONDS + 4


def test_two_attempts_at_one_order_make_one_rollout() -> None:
    world = served(FIRST)
    turns = Turns(world.clock, 1)
    watch(world, turns, {})
    plan = world.plan(SECOND, **PRODUCTION)
    for name in ("one", "two"):
        turns.add(name, lambda: carry_out(world, of_rollout(plan), plan))
    assert turns.run() == {"one": None, "two": None}
    assert world.in_use() == SECOND
    assert [one.reason for one in world.entries() if one.release == SECOND].count(Reason.ROLLED_OUT) == 1
    calm(world)


def test_a_rollout_that_gave_way_to_a_person_leaves_nothing_behind() -> None:
    from nightferry.entities.service_spec import Environment
    from nightferry.steps.rollout.back.roll_back import Wish, roll_back
    from nightferry.steps.rollout.lease.give_way import take_away

    from tests.fakes.worlds.rollout_world import SPEC

    world = served(FIRST, SECOND)
    plan = world.plan(THIRD, **PRODUCTION)
    claim, environment = of_person("digits", "ana"), Environment.model_validate(SPEC["environments"][1])
    slept: list[float] = []

    def meanwhile(call: str, kind: str) -> None:
        if kind != "Pod":
            return
        world.cluster.before = lambda *_: None
        before = world.clock.slept
        with hold(lambda guard: guard(world.cluster), claim, world.clock, at_once=False, beating=False) as held:
            wish = Wish("digits", environment, None, "sevens are wrong", "ana")
            assert roll_back(wish, cluster=held.cluster, ledger=world.ledger, clock=world.clock).to == FIRST
            take_away(held, environment, world.clock)
        slept.append(world.clock.slept - before)

    world.cluster.before = meanwhile
    with pytest.raises(Permanent) as caught:
        carry_out(world, of_rollout(plan), plan)
    assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
    assert slept == [0.0], "the person waited for nobody"
    assert world.in_use() == FIRST
    assert names.object_name(THIRD) not in world.cluster.names("Deployment")
    failed = next(one for one in world.entries() if one.release == THIRD and one.kind == "rollout")
    assert failed.reason == Reason.ROLLOUT_SUPERSEDED
    calm(world)


# Interleavings


def carry_out(world: World, claim: Claim, plan: Any) -> None:
    with hold(lambda guard: guard(world.cluster), claim, world.clock, at_once=True, beating=False) as held:
        world.bring(plan, held.cluster)
        world.look(plan, held.cluster)


def watch(world: World, turns: Turns, claims: dict[str, Claim]) -> list[str]:
    """Every call is a turn. What was changed by one who did not look at once before, or was not the holder then."""
    wrong: list[str] = []
    looked: dict[str, str] = {}

    def before(call: str = "", kind: str = "") -> None:
        turns.step()
        who = turns.current
        if who not in claims:
            return
        if kind == "Lease":
            lease = world.cluster.objects.get(("Lease", "digits"))
            looked[who] = str(lease["spec"].get("holderIdentity")) if lease else ""
        elif call in ("apply", "create", "patch", "delete") and looked.get(who) != claims[who].holder:
            wrong.append(f"{who}: {call} {kind}")
        elif call in ("apply", "create", "patch", "delete"):
            looked.pop(who)

    world.cluster.before = before
    world.ledger.before = before
    return wrong


@pytest.mark.parametrize("seed", range(20))
def test_of_any_number_at_once_one_works(seed: int) -> None:
    """Two attempts at one order, a later order, a person and the housekeeping; one is killed, one is paused for longer
    than the Lease lasts and comes back."""
    world = served(FIRST, SECOND)
    third, fourth = world.plan(THIRD, **PRODUCTION), world.plan(FOURTH, **PRODUCTION)
    claims = {
        "third": of_rollout(third),
        "again": of_rollout(third),
        "fourth": of_rollout(fourth),
        "person": of_person("digits", "ana"),
        "housekeeping": of_housekeeping("digits", "finish"),
    }
    turns = Turns(world.clock, seed)
    wrong = watch(world, turns, claims)
    for name, plan in (("third", third), ("again", third), ("fourth", fourth)):
        turns.add(name, lambda name=name, plan=plan: carry_out(world, claims[name], plan))
    if seed % 2:
        turns.add("person", lambda: go_back(world, claims["person"]))
    turns.add("housekeeping", lambda: tidy(world, claims["housekeeping"]))
    left = {"kill": turns.random.randrange(20, 200), "pause": turns.random.randrange(20, 200)}
    killed, paused = turns.random.sample(["third", "again", "fourth"], 2)

    def meddle() -> None:
        for what in left:
            left[what] -= 1
        if left["kill"] == 0:
            turns.kill(killed, Killed())
        if left["pause"] == 0:
            turns.pause(paused, 3 * LEASE_SECONDS)

    ended = turns.run(meddle)
    assert wrong == []
    for name, fault in ended.items():
        assert fault is None or isinstance(fault, Killed | NightferryError), f"{name}: {fault!r}"
    world.check()
    calm(world)


def go_back(world: World, claim: Claim) -> None:
    from nightferry.entities.service_spec import Environment
    from nightferry.steps.rollout.back.roll_back import Wish, roll_back

    from tests.fakes.worlds.rollout_world import SPEC

    environment = Environment.model_validate(SPEC["environments"][1])
    with hold(lambda guard: guard(world.cluster), claim, world.clock, at_once=False, beating=False) as held:
        wish = Wish("digits", environment, None, "sevens are wrong", "ana")
        roll_back(wish, cluster=held.cluster, ledger=world.ledger, clock=world.clock)


def tidy(world: World, claim: Claim) -> None:
    from nightferry.steps.rollout.back.finish_release import finish_release

    with hold(lambda guard: guard(world.cluster), claim, world.clock, at_once=False, beating=False) as held:
        finish_release(
            "digits",
            "production",
            cluster=held.cluster,
            ledger=world.ledger,
            verify=lambda plan: world.look(plan, held.cluster),
            take=held.take,
            clock=world.clock,
        )


def test_the_watch_sees_one_who_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without the look before each change."""
    monkeypatch.setattr(Lease, "check", lambda self, to_read=False: None if to_read else self.take())
    with pytest.raises(AssertionError, match=r"patch|apply|create"):
        test_of_any_number_at_once_one_works(1)
