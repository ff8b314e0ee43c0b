"""What was left is finished by whoever comes next, and traffic and record agree again."""

from __future__ import annotations

from contextlib import suppress

import pytest
from nightferry.entities.probe_report import Fault
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names
from nightferry.steps.record.history import history

from tests.fakes.worlds.rollout_world import Killed, World

FIRST, SECOND = "digits-2026-11-21.1", "digits-2026-11-21.2"
WRONG = Fault(kind="golden", sentence="0.png should give 0, got 3.")
PRODUCTION = {"name": "production", "namespace": "production"}
STORAGE_DOWN = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob storage does not answer.")


@pytest.fixture
def world() -> World:
    world = World()
    world.roll_out(FIRST)
    world.verify(FIRST)
    return world


def finish(world: World, environment: str = "staging") -> None:
    with suppress(NightferryError):  # a verdict is raised, after going back
        world.finish(environment)


def agree(world: World, environment: str = "staging") -> None:
    assert world.in_use() == (world.traffic(environment).release or "none")


@pytest.mark.parametrize("wrong", [False, True])
def test_a_release_that_nobody_looked_at_is_looked_at(world: World, wrong: bool) -> None:
    world.roll_out(SECOND)  # and then its pod was killed
    world.faults = {SECOND: WRONG} if wrong else {}
    world.finish()
    assert not world.traffic().verified, "whoever switched may still be looking"
    world.clock.advance(600)
    finish(world)
    assert (world.in_use(), world.traffic().verified) == (FIRST if wrong else SECOND, True)
    agree(world)


def test_done_twice_it_changes_nothing(world: World) -> None:
    world.roll_out(SECOND)
    world.clock.advance(600)
    world.finish()
    before, entries = dict(world.cluster.objects), world.entries()
    world.finish()
    assert (world.cluster.objects, world.entries()) == (before, entries)


def test_a_switch_that_was_not_written_down_is(world: World) -> None:
    world.plan(SECOND)
    world.ledger.fault = STORAGE_DOWN
    with pytest.raises(Temporary):
        world.roll_out(SECOND)
    world.ledger.fault = None
    if world.in_use() == SECOND:
        assert world.traffic().release == FIRST
    world.finish()
    agree(world)


def test_a_verification_writes_the_switch_that_was_not_written_down(world: World) -> None:
    world.plan(SECOND)
    written: list[str] = []

    def killed_at_the_record(*_: object) -> None:
        if world.cluster.objects["Service", "digits"]["spec"]["selector"][names.VERSION] == SECOND:
            written.append("killed")
            raise Killed

    world.ledger.before = killed_at_the_record
    with pytest.raises(Killed):
        world.roll_out(SECOND)
    world.live()
    assert (written[:1], world.in_use(), world.traffic().release) == (["killed"], SECOND, FIRST)
    world.verify(SECOND)
    assert (world.traffic().release, world.traffic().verified) == (SECOND, True)


def test_going_back_that_failed_is_tried_again(world: World) -> None:
    world.roll_out(SECOND)
    world.cluster.patch("Deployment", "digits-20261121-1", {"spec": {"replicas": 0}})
    world.faults[SECOND] = WRONG
    switched = world.cluster.get("Service", "digits")

    def refuses(call: str, kind: str) -> None:
        if call == "apply" and kind == "Service":
            raise Temporary(Reason.CLUSTER_UNAVAILABLE, "a webhook did not answer")

    world.cluster.before = refuses
    with pytest.raises(Permanent):
        world.verify(SECOND)
    world.live()
    assert world.cluster.get("Service", "digits")["spec"] == switched["spec"]
    assert world.traffic().withdrawing
    assert "a webhook did not answer" in world.traffic().trouble
    finish(world)
    assert world.in_use() == FIRST
    agree(world)


def test_killed_at_any_call_of_going_back_it_is_finished() -> None:
    def second_is_wrong() -> World:
        world = World()
        world.roll_out(FIRST)
        world.verify(FIRST)
        world.roll_out(SECOND)
        world.faults[SECOND] = WRONG
        return world

    def look(world: World) -> None:
        with pytest.raises(Permanent):
            world.verify(SECOND)

    probe = second_is_wrong()
    for call in range(1, probe.calls(lambda: look(probe)) + 1, 3):
        world = second_is_wrong()
        world.kill_at(call, dead=True)
        with pytest.raises(Killed):
            world.verify(SECOND)
        world.live()
        world.clock.advance(600)
        finish(world)
        assert world.in_use() == FIRST
        agree(world)


def test_what_production_went_back_from_leaves_staging_too() -> None:
    world = World()  # staging and production of a test share a namespace, and so a Service
    for release in (FIRST, SECOND):
        world.roll_out(release)
        world.verify(release)
    production = World()
    production.ledger, production.clock = world.ledger, world.clock
    production.cluster.clock = world.clock
    for release in (FIRST, SECOND):
        production.roll_out(release, **PRODUCTION)
    production.faults[SECOND] = WRONG
    with pytest.raises(Permanent):
        production.verify(SECOND, **PRODUCTION)
    assert (world.in_use(), production.in_use()) == (SECOND, FIRST)
    finish(world)
    assert (world.in_use(), world.traffic().release) == (FIRST, FIRST)
    (line, *_) = history(world.ledger, "digits")
    assert (line.release, line.outcome, line.serves) == (SECOND, Reason.VERIFY_GOLDEN_WRONG, ())


def test_a_record_restored_from_an_older_copy_completes_nothing(world: World) -> None:
    world.roll_out(SECOND)
    newest = sorted(world.ledger.blobs)[-3:]
    for name in newest:
        del world.ledger.blobs[name]
    world.ledger.notes.clear()
    with pytest.raises(Permanent) as caught:
        world.finish()
    assert caught.value.reason == Reason.LEDGER_BEHIND
    world.ledger.blobs.clear()
    with pytest.raises(Permanent) as caught:
        world.finish()
    assert caught.value.reason == Reason.LEDGER_MISSING
    assert world.in_use() == SECOND


def test_a_service_of_before_without_an_order_is_looked_up(world: World) -> None:
    world.cluster.patch("Service", "digits", {"metadata": {"annotations": {names.ORDER: None}}})
    world.roll_out(SECOND)
    assert world.in_use() == SECOND


def test_a_release_with_an_earlier_date_but_a_later_order_goes_on(world: World) -> None:
    """The service's time zone moved west, so that today is yesterday again."""
    west = "digits-2026-11-20.1"
    world.roll_out(west)
    world.verify(west)
    assert world.in_use() == west
