"""A person goes back to an earlier release, whatever is down meanwhile; traffic and record agree in the end."""

from __future__ import annotations

import json
import threading
from contextlib import suppress

import pytest
from nightferry.entities.probe_report import Fault
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Environment
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names
from nightferry.manifests.deployment import deployment
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain, verify
from nightferry.steps.record.state import state_of
from nightferry.steps.rollout.back.roll_back import Wish, roll_back
from nightferry.steps.rollout.lease.meeting import UnderWay

from tests.fakes.turns import Turns
from tests.fakes.worlds.rollout_world import Killed, World

FIRST, SECOND, THIRD = "digits-2026-11-21.1", "digits-2026-11-21.2", "digits-2026-11-21.3"
PRODUCTION = {"name": "production", "namespace": "production"}
STORAGE_DOWN = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob storage does not answer.")


def served(*releases: str) -> World:
    """A world whose production served these releases, one after the other."""
    world = World()
    for release in releases:
        world.clock.advance(60)
        world.roll_out(release, **PRODUCTION)
        world.verify(release, **PRODUCTION)
    return world


@pytest.fixture
def world() -> World:
    return served(FIRST, SECOND)


def agree(world: World) -> None:
    assert world.traffic("production").release == world.in_use()
    verify(world.ledger, "digits")


def test_users_get_the_release_before(world: World) -> None:
    done = world.roll_back()
    assert (done.left, done.to, done.recorded) == (SECOND, FIRST, True)
    assert (world.in_use(), world.traffic("production").verified) == (FIRST, True)
    agree(world)


def test_the_record_says_who_and_why_about_both_releases(world: World) -> None:
    world.roll_back()
    left, back = release_entries(world.ledger, SECOND), release_entries(world.ledger, FIRST)
    assert [(entry.actor, entry.data.get("why")) for entry in left if "rollback" in entry.key] == [
        ("ana", "sevens are wrong")
    ]
    assert left[-1].reason == Reason.ROLLED_BACK
    assert any("production serves digits-2026-11-21.1 again: ana" in entry.sentence for entry in back)


def test_what_differs_is_barred(world: World) -> None:
    world.roll_back()
    state = state_of(Chain(world.ledger, "digits"))
    assert [one.words for one in state.quarantines] == ["model model-221"]
    assert state.in_use == FIRST
    assert state.good == (FIRST,)


def test_asked_twice_it_is_done_once(world: World) -> None:
    world.roll_back(FIRST)
    before, entries = dict(world.cluster.objects), world.entries()
    again = world.roll_back(FIRST)
    assert (again.left, again.to, again.recorded) == ("", FIRST, True)
    assert (world.cluster.objects, world.entries()) == (before, entries)


def test_two_people_who_ask_for_different_releases_are_not_both_told_yes() -> None:
    world = served(FIRST, SECOND, THIRD)

    def the_first_is_killed(call: str, kind: str) -> None:
        if call == "apply" and kind == "Service":
            raise Killed

    world.cluster.before = the_first_is_killed
    with pytest.raises(Killed):
        world.roll_back(SECOND, by="ana")
    world.live()
    with pytest.raises(Permanent, match="ana ordered a rollback"):
        world.roll_back(FIRST, by="ben")
    assert world.roll_back(SECOND, by="ben").to == SECOND
    agree(world)


def test_back_and_forth_and_back(world: World) -> None:
    world.roll_back(FIRST)
    world.roll_back(SECOND)
    assert world.in_use() == SECOND
    agree(world)
    assert release_entries(world.ledger, SECOND)[-1].reason == Reason.RELEASED
    assert state_of(Chain(world.ledger, "digits")).quarantines == (), "a rollback that was taken back bars nothing"
    world.roll_back()
    assert world.in_use() == FIRST, "which was not left because it was wrong"
    assert release_entries(world.ledger, SECOND)[-1].reason == Reason.ROLLED_BACK
    agree(world)


def test_nothing_goes_back_to_what_was_left_by_itself() -> None:
    world = served(FIRST, SECOND, THIRD)
    world.roll_back()
    assert world.in_use() == SECOND
    world.roll_back()
    assert world.in_use() == FIRST, "and not to the third, which was left"
    with pytest.raises(Permanent, match="none before it"):
        world.roll_back()
    agree(world)


def test_a_cold_release_is_woken(world: World) -> None:
    world.cluster.patch("Deployment", names.object_name(FIRST), {"spec": {"replicas": 0}})
    world.roll_back()
    deployment = world.cluster.get("Deployment", names.object_name(FIRST))
    assert deployment is not None
    assert deployment["spec"]["replicas"] >= 1
    agree(world)


def test_a_release_whose_deployment_was_removed_is_made_anew(world: World) -> None:
    world.cluster.delete("Deployment", names.object_name(FIRST))
    world.roll_back(FIRST)
    deployment = world.cluster.get("Deployment", names.object_name(FIRST))
    assert names.annotations_of(deployment or {})[names.RELEASE] == FIRST
    agree(world)


def test_one_that_was_left_for_a_newer_one_can_be_made_anew_too(world: World) -> None:
    world.roll_back(FIRST)
    world.roll_back(SECOND)
    world.cluster.delete("Deployment", names.object_name(FIRST))
    world.roll_back(FIRST)
    agree(world)
    assert world.in_use() == FIRST


def test_a_release_that_users_never_got_is_not_gone_back_to(world: World) -> None:
    world.plan(THIRD, **PRODUCTION)
    with pytest.raises(Permanent, match="none of the last good ones"):
        world.roll_back(THIRD)
    assert world.in_use() == SECOND
    assert THIRD not in str(world.cluster.objects)


def test_one_whose_rollout_was_killed_is_not_gone_back_to(world: World) -> None:
    world.cluster.apply(deployment(world.plan(THIRD, **PRODUCTION)))
    with pytest.raises(Permanent, match="never sent"):
        world.roll_back(THIRD)
    assert world.in_use() == SECOND


@pytest.mark.parametrize("silent", [False, True])
def test_what_was_taken_out_of_use_as_wrong_is_not_gone_back_to(silent: bool) -> None:
    world = World()
    world.roll_out(FIRST, **PRODUCTION)
    world.faults[FIRST] = Fault(kind="golden", sentence="0.png should give 0, got 3.")
    with pytest.raises(Permanent):
        world.verify(FIRST, **PRODUCTION)
    world.clock.advance(60)
    world.roll_out(SECOND, **PRODUCTION)
    world.verify(SECOND, **PRODUCTION)
    world.ledger.fault = STORAGE_DOWN if silent else None
    with pytest.raises(Permanent, match="because it was wrong"):
        world.roll_back(FIRST)
    assert world.in_use() == SECOND


def test_with_a_silent_record_users_get_it_all_the_same(world: World) -> None:
    world.ledger.fault = STORAGE_DOWN
    done = world.roll_back()
    assert (done.to, done.recorded, world.in_use()) == (FIRST, False, FIRST)
    world.ledger.fault = None
    assert world.traffic("production").release == SECOND, "nothing could be written yet"
    world.finish("production")
    agree(world)
    order = next(entry for entry in world.entries() if "production.rollback" in entry.key)
    assert (order.actor, order.data["why"]) == ("ana", "sevens are wrong")
    assert [one.words for one in state_of(Chain(world.ledger, "digits")).quarantines] == ["model model-221"]


def test_until_the_record_has_it_no_rollout_takes_over(world: World) -> None:
    world.decide(THIRD, **PRODUCTION)
    world.ledger.fault = STORAGE_DOWN
    world.roll_back()
    world.ledger.fault = None
    with pytest.raises(Permanent, match="rolled back"):
        world.roll_out(THIRD, **PRODUCTION)
    assert world.in_use() == FIRST


def test_a_release_decided_before_does_not_take_over_and_one_after_does(world: World) -> None:
    world.decide(THIRD, **PRODUCTION)
    world.roll_back()
    with pytest.raises(Permanent, match="ordered before"):
        world.roll_out(THIRD, **PRODUCTION)
    newest = "digits-2026-11-21.4"
    world.roll_out(newest, **PRODUCTION)
    world.verify(newest, **PRODUCTION)
    agree(world)
    assert world.in_use() == newest


def test_whoever_verifies_the_release_that_was_left_changes_nothing(world: World) -> None:
    for silent in (False, True):
        world.ledger.fault = STORAGE_DOWN if silent else None
        world.roll_back(FIRST)
        with suppress(NightferryError):
            world.verify(SECOND, **PRODUCTION)
        world.ledger.fault = None
        world.finish("production")
        agree(world)
        assert world.in_use() == FIRST
        assert names.object_name(SECOND) in world.cluster.names("Deployment")
        world.roll_back(SECOND)


def test_staging_follows_where_the_command_was_killed_in_between() -> None:
    world = World()
    for release in (FIRST, SECOND):
        world.roll_out(release)
        world.verify(release)
    # In the fake both environments are one namespace: production's word is enough.
    staging = World()
    staging.ledger = world.ledger
    for release in (FIRST, SECOND):
        staging.roll_out(release, **PRODUCTION)
        staging.verify(release, **PRODUCTION)
    staging.roll_back()
    world.finish("staging")
    assert world.in_use() == FIRST
    assert world.traffic("staging").release == FIRST


@pytest.mark.parametrize("dead", [False, True])
def test_killed_at_any_call_it_is_finished_by_the_next(dead: bool) -> None:
    calls = served(FIRST, SECOND).calls(served(FIRST, SECOND).roll_back)
    world = served(FIRST, SECOND)
    calls = world.calls(world.roll_back)
    assert calls > 10
    for call in range(1, calls + 1):
        world = served(FIRST, SECOND)
        world.kill_at(call, dead)
        with suppress(Killed, NightferryError):
            world.roll_back(FIRST)
        world.live()
        with suppress(NightferryError):
            world.finish("production")
        agree(world)
        world.roll_back(FIRST)
        agree(world)
        assert world.in_use() == FIRST


def test_a_spoilt_note_is_no_trap(world: World) -> None:
    world.roll_back()
    spoilt = {"metadata": {"annotations": {names.ROLLBACK: "{"}}}
    world.cluster.patch("Service", "digits", spoilt)
    world.finish("production")
    agree(world)


def test_reasons_are_masked(world: World) -> None:
    secret = "AccountKey=" + "A" * 86 + "=="
    wish = Wish("digits", Environment.model_validate(PRODUCTION), None, f"it said {secret}", "ana")
    roll_back(wish, cluster=world.cluster, ledger=world.ledger, clock=world.clock)
    assert "A" * 86 not in json.dumps(list(map(str, world.cluster.objects.values())))


def test_a_storage_that_hangs_keeps_nobody_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightferry.steps.rollout.back.roll_back.BEFORE_SECONDS", 0.1)
    monkeypatch.setattr("nightferry.steps.rollout.back.roll_back.AFTER_SECONDS", 0.1)
    hangs = threading.Event()
    world.ledger.before = lambda *_: hangs.wait(30)
    done = world.roll_back()
    assert (world.in_use(), done.recorded) == (FIRST, False)
    hangs.set()
    world.live()
    world.finish("production")
    agree(world)
    assert [entry.data["to"] for entry in world.entries() if "production.rollback" in entry.key] == [FIRST]


@pytest.mark.parametrize("leased", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_a_person_and_the_retiring_run_complete_the_same_rollback_at_once(seed: int, leased: bool) -> None:
    """The record was silent: both find what the Service carries, and write it down and finish it once."""
    world = served(FIRST, SECOND)
    world.ledger.fault = STORAGE_DOWN
    world.roll_back()
    world.ledger.fault = None
    world.leased = leased
    turns = Turns(world.clock, seed)
    world.cluster.before = lambda *_: turns.step()
    world.ledger.before = lambda *_: turns.step()
    turns.add("person", lambda: world.roll_back(FIRST))
    turns.add("retiring run", lambda: world.finish("production"))
    faults = turns.run()
    world.live()
    assert faults["person"] is None
    assert faults["retiring run"] is None or isinstance(faults["retiring run"], UnderWay), "it leaves it to the person"
    agree(world)
    orders = [entry for entry in world.entries() if "production.rollback/" in entry.key]
    assert [(entry.actor, entry.data["to"]) for entry in orders] == [("ana", FIRST)]
    assert len([entry for entry in world.entries() if "production.restored" in entry.key]) == 1
    assert world.note(SECOND, names.LEFT)
    before = dict(world.cluster.objects)
    world.finish("production")
    assert {key: one for key, one in world.cluster.objects.items() if key[0] != "Lease"} == {
        key: one for key, one in before.items() if key[0] != "Lease"
    }
