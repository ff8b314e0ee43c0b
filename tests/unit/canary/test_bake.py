"""The bake: with all the users a release is watched before it is called released, and the one before stays warm."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry.entities.fact_key import step_of
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.steps.record.history import release_entries

from tests.fakes.worlds.rollout_world import World
from tests.unit.canary.test_canary import FIRST, PLAIN, SECOND, WRONG, barred, served, shares

BAKE: dict[str, Any] = {**PLAIN, "warm_minutes": 0, "strategy": {"kind": "blue_green", "bake_minutes": 5}}


def baked(world: World, slow: float = 1.0, failing: int = 0, wrong: bool = False) -> None:
    """Roll out, and let users come at every second while it is watched."""
    assert world.figures
    figures = world.figures
    world.roll_out(SECOND, **BAKE)
    if wrong:
        world.faults[SECOND] = WRONG
    sleep = world.clock.sleep

    def users(seconds: float) -> None:
        figures.serve(SECOND, [0.010 * slow] * 20, failing)
        sleep(seconds)

    world.clock.sleep = users  # type: ignore[method-assign]
    world.verify(SECOND, **BAKE)


def test_it_is_called_verified_when_its_time_is_over() -> None:
    world = served()
    begun = world.clock.now()
    baked(world)
    assert (world.clock.now() - begun).total_seconds() >= 300
    assert world.traffic("production").verified
    verified = [one for one in release_entries(world.ledger, SECOND) if step_of(one.key) == "production.verify"]
    assert "5 minutes" in verified[-1].sentence
    until = world.note(FIRST, names.WARM_UNTIL)
    assert until is not None, "the one before is let go after that, not earlier"
    assert until >= f"{begun:%Y-%m-%dT%H:%M}"


def test_the_one_before_is_not_let_go_while_it_is_watched() -> None:
    world = served()
    begun = world.clock.now()
    world.roll_out(SECOND, **BAKE)
    until = world.note(FIRST, names.WARM_UNTIL)
    assert until is not None
    assert (world.clock.now() - begun).total_seconds() < 300
    assert until >= f"{world.clock.now().replace(second=0):%Y-%m-%dT%H:}{world.clock.now().minute + 4:02d}"


@pytest.mark.parametrize(
    ("fault", "reason"), [({"failing": 2}, Reason.FIGURES_WRONG), ({"wrong": True}, Reason.VERIFY_GOLDEN_WRONG)]
)
def test_what_is_found_then_goes_back(fault: dict[str, Any], reason: Reason) -> None:
    world = served()
    with pytest.raises(Permanent) as caught:
        baked(world, **fault)
    assert caught.value.reason == reason
    assert world.in_use() == FIRST
    assert shares(world) == {FIRST: 100}
    assert barred(world) == ["model model-221"]
    (order,) = [one for one in release_entries(world.ledger, SECOND) if step_of(one.key) == "production.withdrawal"]
    assert order.data["share"] == "100%"


def test_missing_figures_do_not_pass_it_and_bar_nothing() -> None:
    world = served()
    assert world.figures
    world.roll_out(SECOND, **BAKE)
    world.figures.away = True
    with pytest.raises(Permanent) as caught:
        world.verify(SECOND, **BAKE)
    assert caught.value.reason == Reason.NO_FIGURES
    assert world.in_use() == FIRST
    assert barred(world) == []


def test_the_retiring_run_leaves_it_to_who_watches() -> None:
    world = served()
    world.roll_out(SECOND, **BAKE)
    world.clock.advance(400)  # longer than a pod without a bake looks, shorter than with one
    world.faults[SECOND] = WRONG
    world.finish("production")
    assert world.in_use() == SECOND


def test_one_that_was_verified_is_not_watched_again() -> None:
    world = served()
    baked(world)
    begun = world.clock.now()
    world.verify(SECOND, **BAKE)
    assert (world.clock.now() - begun).total_seconds() < 30
