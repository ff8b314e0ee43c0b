"""The state that is kept beside the record is thrown away where it was made in another way."""

from __future__ import annotations

import pytest
from nightferry.entities.state.service_state import FOLD
from nightferry.entities.state.traffic import Traffic
from nightferry.steps.record.state import read_state

from tests.fakes.worlds.rollout_world import World


def with_kept(world: World, fold: int) -> None:
    """Keep a state of the record as it is, in which users get another release."""
    state = read_state(world.ledger, "digits")
    wrong = state.model_copy(update={"fold": fold, "traffic": {"staging": Traffic(release="digits-2026-11-20.9")}})
    world.ledger.remember("digits/state", wrong.model_dump_json().encode())


@pytest.mark.parametrize("fold", [0, FOLD - 1, FOLD + 1])
def test_a_state_of_another_fold_is_thrown_away(fold: int) -> None:
    world = World()
    world.roll_out()
    with_kept(world, fold)
    assert world.traffic().release == "digits-2026-11-21.1"


def test_a_state_of_this_fold_is_taken() -> None:
    world = World()
    world.roll_out()
    with_kept(world, FOLD)
    assert world.traffic().release == "digits-2026-11-20.9"
