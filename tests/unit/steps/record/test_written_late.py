"""What a deployer writes that was stopped for a while, and what others did meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry.entities.ledger_entry import Kind
from nightferry.manifests import names
from nightferry.manifests.route import weights_of
from nightferry.steps.record.state import read_state

from tests.fakes.worlds.rollout_world import Killed, World

FIRST, SECOND, THIRD = "digits-2026-11-21.1", "digits-2026-11-21.2", "digits-2026-11-21.3"
PLAIN: dict[str, Any] = {
    "name": "production",
    "namespace": "production",
    "traffic": {"gateway": "users", "host": "digits.nightferry.test"},
}
CANARY = {**PLAIN, "strategy": {"kind": "canary", "steps": [{"share": "10%", "minutes": 10}]}}


def stopped_before_it_writes(world: World, release: str, meanwhile: Any) -> None:
    """Roll a release out; between its switch and the record something else happens."""
    plan = world.plan(release, **PLAIN)

    def tick(*_: object) -> None:
        if world.in_use() == release:
            world.live()
            meanwhile()

    world.cluster.before = world.ledger.before = tick
    world.bring(plan, world.cluster)


def of_later_order(world: World) -> None:
    world.roll_out(THIRD, **PLAIN)
    world.verify(THIRD, **PLAIN)


def rolled_back(world: World) -> None:
    of_later_order(world)
    world.roll_back(FIRST)


@pytest.mark.parametrize(("meanwhile", "served"), [(of_later_order, THIRD), (rolled_back, FIRST)])
def test_a_rollout_that_is_written_late_does_not_take_the_record_back(meanwhile: Any, served: str) -> None:
    world = World()
    world.roll_out(FIRST, **PLAIN)
    world.verify(FIRST, **PLAIN)
    stopped_before_it_writes(world, SECOND, lambda: meanwhile(world))
    late = [one for one in world.entries() if one.kind == Kind.ROLLOUT][-1]
    assert late.release == SECOND, "it was written last"
    assert world.in_use() == served
    traffic = world.traffic("production")
    assert (traffic.release, traffic.verified) == (served, True)
    assert read_state(world.ledger, "digits").in_use == served


def test_a_canary_stays_on_record_beside_a_release_of_an_earlier_order() -> None:
    """Its deployer was killed; the one of the earlier order switches all users, and the share stays as it is."""
    world = World()
    world.roll_out(FIRST, **PLAIN)
    world.verify(FIRST, **PLAIN)
    earlier = world.plan(SECOND, **PLAIN)
    later = world.plan(THIRD, **CANARY)

    def tick(*_: object) -> None:
        found = world.cluster.objects.get(("HTTPRoute", "digits"))
        if found and weights_of(found).get(names.object_name(THIRD)) == 10:
            raise Killed

    world.cluster.before = world.ledger.before = tick
    with pytest.raises(Killed):
        world.bring(later, world.cluster)
    world.live()
    world.bring(earlier, world.cluster)
    weights = weights_of(world.cluster.objects[("HTTPRoute", "digits")])
    assert weights[names.object_name(THIRD)] == 10
    traffic = world.traffic("production")
    assert traffic.release == SECOND
    assert traffic.canary
    assert (traffic.canary.release, traffic.canary.share) == (THIRD, 10)
    world.clock.advance(3600)
    world.finish("production")
    assert weights_of(world.cluster.objects[("HTTPRoute", "digits")])[names.object_name(THIRD)] == 0
    ended = world.traffic("production").canary
    assert ended
    assert not ended.stands
