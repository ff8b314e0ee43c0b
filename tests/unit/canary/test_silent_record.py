"""A verdict that the record could not be told is on the Service until it can be, with what it bars."""

from __future__ import annotations

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.record.history import release_entries

from tests.fakes.worlds.rollout_world import World
from tests.unit.canary.test_canary import CANARY, FIRST, PLAIN, SECOND, WRONG, barred, of_second, served, shares

SILENT = Temporary(Reason.STORAGE_UNAVAILABLE, "No answer.")


def found_wrong_while_silent(world: World) -> None:
    def look() -> None:
        world.faults[SECOND] = WRONG
        world.ledger.fault = SILENT

    world.looked = look
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND, **CANARY)
    assert caught.value.reason == Reason.VERIFY_GOLDEN_WRONG
    assert shares(world) == {FIRST: 100}
    world.ledger.fault = None


def test_a_canarys_verdict_is_written_once_the_record_answers() -> None:
    world = served()
    found_wrong_while_silent(world)
    assert barred(world) == []
    for _ in range(2):
        world.clock.advance(600)
        world.finish("production")
    (order,) = of_second(world, "withdrawal")
    assert (order.reason, order.data["share"]) == (Reason.VERIFY_GOLDEN_WRONG, "10%")
    assert len(of_second(world, "withdrawn")) == 1
    assert barred(world) == ["model model-221"]
    assert world.traffic("production").canary is None
    assert world.traffic("production").release == FIRST


def test_nobody_gets_it_before_the_record_has_that() -> None:
    world = served()
    found_wrong_while_silent(world)
    world.faults.clear()
    world.looked = lambda: None
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND, **CANARY)
    assert caught.value.reason == Reason.WITHDRAWN
    assert shares(world) == {FIRST: 100}


def test_a_later_release_goes_on() -> None:
    world = served()
    found_wrong_while_silent(world)
    third = "digits-2026-11-21.3"
    world.looked = lambda: None
    world.roll_out(third, **PLAIN)
    world.verify(third, **PLAIN)
    world.finish("production")
    assert world.traffic("production").release == third == world.in_use()


def test_a_record_that_is_silent_for_a_moment_has_the_order_before_what_was_done() -> None:
    world = served()
    world.roll_out(SECOND, **PLAIN)
    world.faults[SECOND] = WRONG
    plan = world.plan(SECOND, **PLAIN)
    world.ledger.fault = SILENT

    def tick(*_: object) -> None:
        if world.in_use() == FIRST:
            world.ledger.fault = None

    world.cluster.before = tick
    with pytest.raises(Permanent):
        world.look(plan)
    assert [one.reason for one in of_second(world, "withdrawal")] == [Reason.VERIFY_GOLDEN_WRONG]
    assert barred(world) == ["model model-221"]


def test_a_bakes_verdict_is_written_once_the_record_answers() -> None:
    world = served()
    world.roll_out(SECOND, **PLAIN)
    world.faults[SECOND] = WRONG
    plan = world.plan(SECOND, **PLAIN)
    world.ledger.fault = SILENT
    with pytest.raises(Permanent):
        world.look(plan)
    world.ledger.fault = None
    assert world.in_use() == FIRST
    world.finish("production")
    (order,) = of_second(world, "withdrawal")
    assert (order.reason, order.data["share"]) == (Reason.VERIFY_GOLDEN_WRONG, "100%")
    assert barred(world) == ["model model-221"]
    assert release_entries(world.ledger, SECOND)[-1].reason == Reason.VERIFY_GOLDEN_WRONG
