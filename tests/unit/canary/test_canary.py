"""A canary: shares that are judged, on the record, and taken back within seconds, whoever is killed or meddles."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import pytest
from nightferry.entities.fact_key import step_of
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.probe_report import Fault
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names
from nightferry.manifests.route import weights_of
from nightferry.steps.record import ledger
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.lease.claims import of_rollout
from nightferry.steps.rollout.lease.give_way import take_away
from nightferry.steps.rollout.lease.leased_cluster import hold

from tests.fakes.worlds.rollout_world import Killed, World

FIRST, SECOND, THIRD = "digits-2026-11-21.1", "digits-2026-11-21.2", "digits-2026-11-21.3"
PLAIN: dict[str, Any] = {
    "name": "production",
    "namespace": "production",
    "traffic": {"gateway": "users", "host": "digits.nightferry.test"},
}
STEPS = [{"share": "10%", "minutes": 10}, {"share": "50%", "minutes": 10}]
CANARY = {**PLAIN, "strategy": {"kind": "canary", "steps": STEPS}}
WRONG = Fault(kind="golden", sentence="3.png should give 3, got 8.")


@pytest.fixture(autouse=True)
def parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that is written never changes: reading it again and again would take most of the time."""
    monkeypatch.setattr(ledger, "parse", lru_cache(maxsize=1024)(ledger.parse))


def served(release: str = FIRST) -> World:
    world = World()
    world.roll_out(release, **PLAIN)
    world.verify(release, **PLAIN)
    world.clock.advance(60)
    world.looked = lambda: users(world)
    return world


def users(world: World, slow: float = 1.0, failing: int = 0) -> None:
    """What users do between two looks."""
    assert world.figures
    world.figures.serve(FIRST, [0.010] * 90)
    world.figures.serve(SECOND, [0.010 * slow] * 10, failing)


def shares(world: World) -> dict[str, int]:
    """Release -> weight, of those that get users."""
    found = world.cluster.objects.get(("HTTPRoute", "digits"))
    releases = {names.object_name(one): one for one in (FIRST, SECOND, THIRD)}
    return {releases[name]: weight for name, weight in weights_of(found).items() if weight} if found else {}


def of_second(world: World, step: str) -> list[LedgerEntry]:
    return [one for one in release_entries(world.ledger, SECOND) if step_of(one.key) == f"production.{step}"]


def barred(world: World) -> list[str]:
    return [one.words for one in read_state(world.ledger, "digits").quarantines]


def test_users_come_by_shares_and_then_all() -> None:
    world, seen = served(), list[tuple[float, dict[str, int]]]()
    start = world.clock.now()

    def look() -> None:
        users(world)
        seen.append(((world.clock.now() - start).total_seconds(), shares(world)))

    world.looked = look
    world.roll_out(SECOND, **CANARY)
    told = [share for _, share in seen]
    assert {FIRST: 90, SECOND: 10} in told
    assert {FIRST: 50, SECOND: 50} in told
    assert told == sorted(told, key=lambda share: share[SECOND])
    assert shares(world) == {SECOND: 100}
    assert seen[-1][0] >= 1200, "both steps take their time"
    assert [one.data["canary"]["share"] for one in of_second(world, "canary")] == [10, 50]
    assert len(of_second(world, "canary_passed")) == 2
    world.verify(SECOND, **CANARY)
    assert world.traffic("production").release == SECOND
    assert world.traffic("production").canary is None


def test_the_record_knows_the_share_before_anybody_gets_it() -> None:
    world = served()

    def look(*_: object) -> None:
        canary = world.traffic("production").canary
        share = shares(world).get(SECOND, 0)
        if share and world.in_use() == FIRST:
            assert canary is not None
            assert canary.share >= share
            step = 1 if canary.share == 10 else 2
            assert canary.words == f"{canary.share} % get {SECOND} (canary, step {step} of 2)"

    world.cluster.before = look
    world.roll_out(SECOND, **CANARY)


@pytest.mark.parametrize(
    ("meets", "reason"),
    [
        (lambda world: world.faults.update({SECOND: WRONG}), Reason.VERIFY_GOLDEN_WRONG),
        (lambda world: users(world, slow=1.5), Reason.FIGURES_WRONG),
        (lambda world: users(world, failing=3), Reason.FIGURES_WRONG),
    ],
)
def test_what_is_wrong_is_found_at_the_first_share_and_barred(meets: Callable[[World], None], reason: Reason) -> None:
    world = served()
    world.looked = lambda: meets(world)
    begun = world.clock.now()
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND, **CANARY)
    assert caught.value.reason == reason
    assert (world.clock.now() - begun).total_seconds() < 600, "before the step's time is over"
    assert shares(world) == {FIRST: 100}
    assert world.in_use() == FIRST
    assert world.traffic("production").canary is None
    (order,) = of_second(world, "withdrawal")
    assert order.reason == reason
    assert order.data["share"] == "10%"
    assert order.data["seconds"] >= 0
    assert order.data["requests"] is not None
    assert of_second(world, "withdrawn")
    assert barred(world) == ["model model-221"]
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND, **CANARY)
    assert caught.value.reason == Reason.WITHDRAWN
    assert shares(world) == {FIRST: 100}


def test_the_share_goes_before_anything_else() -> None:
    world, after = served(), list[str]()
    world.looked = lambda: world.faults.update({SECOND: WRONG})

    def look(call: str, kind: str) -> None:
        if world.faults and call in ("apply", "patch", "delete", "create"):
            after.append(f"{call} {kind}")

    world.cluster.before = look
    with suppress(Permanent):
        world.roll_out(SECOND, **CANARY)
    assert after[0] == "apply HTTPRoute" or after[:2] == ["apply Service", "apply HTTPRoute"], after


def test_missing_figures_never_pass_and_bar_nothing() -> None:
    for silent in (True, False):
        world = served()
        assert world.figures
        world.looked = lambda: None
        world.figures.away = silent
        with pytest.raises(Permanent) as caught:
            world.roll_out(SECOND, **CANARY)
        assert caught.value.reason == Reason.NO_FIGURES
        assert shares(world) == {FIRST: 100}
        assert barred(world) == []
        (order,) = of_second(world, "withdrawal")
        assert order.data["share"] == "10%"
        assert 600 <= order.data["seconds"] <= 700


def test_a_canary_whose_requests_nobody_counts_is_refused_and_nothing_is_made() -> None:
    world = served()
    world.figures = None
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND, **CANARY)
    assert caught.value.reason == Reason.NO_FIGURES
    assert names.object_name(SECOND) not in world.cluster.names("Deployment")


def test_a_first_release_has_nothing_beside_it() -> None:
    world = World()
    world.roll_out(FIRST, **CANARY)
    world.verify(FIRST, **CANARY)
    assert shares(world) == {FIRST: 100}


def test_a_killed_deployer_goes_on_in_its_step_with_the_time_that_is_left() -> None:
    world, looks = served(), 0

    def look() -> None:
        nonlocal looks
        users(world)
        looks += 1
        if looks == 60:  # some 300 s
            world.cluster.before = world.ledger.before = dead

    def dead(*_: object) -> None:
        raise Killed

    world.looked = look
    with pytest.raises(Killed):
        world.roll_out(SECOND, **CANARY)
    world.live()
    begun = world.clock.now()
    assert shares(world) == {FIRST: 90, SECOND: 10}
    at_ten = 0.0

    def watch() -> None:
        nonlocal at_ten
        users(world)
        if shares(world)[SECOND] == 10:
            at_ten = (world.clock.now() - begun).total_seconds()

    world.looked = watch
    world.roll_out(SECOND, **CANARY)
    assert 250 < at_ten < 350, "not the whole step again"
    assert len(of_second(world, "canary")) == 2
    assert shares(world) == {SECOND: 100}


def test_an_interrupted_deployer_takes_the_share_and_the_rest_is_made_up_for() -> None:
    world, looks = served(), 0

    def look() -> None:
        nonlocal looks
        users(world)
        looks += 1
        if looks == 60:
            raise KeyboardInterrupt

    world.looked = look
    with pytest.raises(KeyboardInterrupt):
        world.roll_out(SECOND, **CANARY)
    assert shares(world) == {FIRST: 100}
    canary = world.traffic("production").canary
    assert canary is not None
    assert not canary.stands
    assert 250 < canary.left < 350
    world.clock.advance(3600)
    world.looked = lambda: users(world)
    world.roll_out(SECOND, **CANARY)
    legs = [(one.data["canary"]["step"], one.data["canary"]["seconds"]) for one in of_second(world, "canary")]
    assert legs == [(1, 600), (1, canary.left), (2, 600)]


def test_a_canary_under_way_stays_and_an_abandoned_one_ends() -> None:
    world, looked = served(), 0

    def look() -> None:
        nonlocal looked
        looked += 1
        world.looked = lambda: None
        world.finish("production")
        assert shares(world) == {FIRST: 90, SECOND: 10}, "the retiring run leaves it alone"
        raise Killed

    def end() -> None:
        world.cluster.before = world.ledger.before = dead

    def dead(*_: object) -> None:
        raise Killed

    def dies() -> None:
        with suppress(Killed):
            look()
        end()

    world.looked = dies
    with pytest.raises(Killed):
        world.roll_out(SECOND, **CANARY)
    world.live()
    assert looked == 1
    world.clock.advance(800)
    world.finish("production")
    assert shares(world) == {FIRST: 90, SECOND: 10}, "its deployer may be started again"
    world.clock.advance(200)
    world.finish("production")
    assert shares(world) == {FIRST: 100}
    canary = world.traffic("production").canary
    assert canary is not None
    assert canary.ended == Reason.INTERRUPTED
    assert barred(world) == []


@pytest.mark.parametrize("silent", [False, True])
def test_a_person_ends_it(silent: bool) -> None:
    world, looked = served(), 0

    def look() -> None:
        nonlocal looked
        users(world)
        looked += 1
        if looked == 3:
            if silent:
                world.ledger.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "No answer.")
            done = world.roll_back()
            assert (done.left, done.to, done.share) == (SECOND, FIRST, 10)
            assert shares(world) == {FIRST: 100}

    world.looked = look
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND, **CANARY)
    assert caught.value.reason in (Reason.ROLLOUT_SUPERSEDED, Reason.WITHDRAWN)
    world.ledger.fault = None
    world.finish("production")
    assert looked == 3
    assert shares(world) == {FIRST: 100}
    assert world.traffic("production").release == FIRST
    assert world.traffic("production").canary is None
    assert barred(world) == ["model model-221"]
    with pytest.raises(Permanent):
        world.roll_out(SECOND, **CANARY)
    assert shares(world) == {FIRST: 100}


def test_one_that_is_ordered_later_takes_its_place() -> None:
    world, inner = served(), list[bool]()

    def look() -> None:
        users(world)
        if not inner:
            inner.append(True)
            assert world.figures
            figures = world.figures

            def later() -> None:
                figures.serve(FIRST, [0.01] * 90)
                figures.serve(THIRD, [0.01] * 10)

            world.looked = later
            world.roll_out(THIRD, **CANARY)
            assert shares(world) == {THIRD: 100}

    world.decide(SECOND, **CANARY)
    world.looked = look
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND, **CANARY)
    assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
    assert shares(world) == {THIRD: 100}
    assert world.traffic("production").release == THIRD


def test_who_was_ordered_earlier_leaves_a_later_canary_alone() -> None:
    world = served()
    earlier = world.decide(SECOND, **CANARY)
    world.decide(THIRD, **CANARY)
    assert earlier
    seen = list[dict[str, int]]()

    def look() -> None:
        assert world.figures
        world.figures.serve(FIRST, [0.01] * 90)
        world.figures.serve(THIRD, [0.01] * 10)
        if not seen:
            world.looked = lambda: users(world)
            with pytest.raises(Permanent) as caught:
                world.roll_out(SECOND, **CANARY)
            assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
            world.looked = look
        seen.append(shares(world))

    world.looked = look
    world.roll_out(THIRD, **CANARY)
    assert all(SECOND not in share for share in seen)
    assert {FIRST: 90, THIRD: 10} in seen


@pytest.mark.parametrize("wrong", [False, True])
def test_killed_at_any_call_the_next_one_goes_on(wrong: bool) -> None:
    short = {**CANARY, "strategy": {"kind": "canary", "steps": [{"share": "10%", "minutes": 0.05}]}}

    def world_before() -> World:
        world = served()

        def look() -> None:
            assert world.figures
            world.figures.serve(FIRST, [0.01] * 900)
            world.figures.serve(SECOND, [0.01 * (1.5 if wrong else 1)] * 100)

        world.looked = look
        world.decide(SECOND, **short)
        return world

    world = world_before()
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    world.cluster.before = world.ledger.before = count
    with suppress(Permanent):
        world.roll_out(SECOND, **short)
    world.live()
    for call in range(1, calls + 1, 2):
        again = call % 4 == 1
        world = world_before()
        world.kill_at(call, dead=True)
        with suppress(Killed, NightferryError):
            world.roll_out(SECOND, **short)
        world.live()
        if again:
            with suppress(NightferryError):
                world.roll_out(SECOND, **short)
        for _ in range(2):
            world.clock.advance(700)
            with suppress(NightferryError):
                world.finish("production")
        current = str(world.in_use())
        assert current in ((FIRST,) if wrong else (FIRST, SECOND))
        assert again is False or wrong or current == SECOND
        assert shares(world) == {current: 100}, call
        assert world.traffic("production").release == current
        canary = world.traffic("production").canary
        assert canary is None or not canary.stands
        if wrong and again:
            assert barred(world) == ["model model-221"], call
            assert of_second(world, "withdrawn")


def test_one_that_is_found_wrong_before_it_is_gone_on_with_leaves_no_share() -> None:
    world, looks = served(), 0

    def look() -> None:
        nonlocal looks
        users(world)
        looks += 1
        if looks == 10:
            world.cluster.before = world.ledger.before = dead

    def dead(*_: object) -> None:
        raise Killed

    world.looked = look
    with pytest.raises(Killed):
        world.roll_out(SECOND, **CANARY)
    world.live()
    world.faults[SECOND] = WRONG
    with pytest.raises(Permanent):
        world.roll_out(SECOND, **CANARY)
    assert shares(world) == {FIRST: 100}
    canary = world.traffic("production").canary
    assert canary is None or not canary.stands


def test_one_that_gave_way_under_its_lease_leaves_no_share_and_no_pods() -> None:
    """It may not take its share back itself any more: whoever took the Lease does."""
    world = served()
    world.leased = True
    plan = world.plan(SECOND, **CANARY)
    later = of_rollout(world.plan(THIRD, **CANARY))
    seen: list[dict[str, int]] = []

    def somebody_comes() -> None:
        world.looked = lambda: users(world)
        seen.append(shares(world))
        with hold(lambda guard: guard(world.cluster), later, world.clock, at_once=True, beating=False) as held:
            assert held.cluster.get("Service", "digits")
            take_away(held, plan.environment, world.clock)
            seen.append(shares(world))

    world.looked = somebody_comes
    with pytest.raises(NightferryError), world.held(of_rollout(plan), at_once=True) as cluster:
        world.bring(plan, cluster)
    assert seen == [{FIRST: 90, SECOND: 10}, {FIRST: 100}]
    assert names.object_name(SECOND) not in world.cluster.names("Deployment")
    world.clock.advance(3600)
    world.finish("production")
    assert (world.in_use(), shares(world)) == (FIRST, {FIRST: 100})
    assert barred(world) == []
