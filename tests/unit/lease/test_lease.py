"""The Lease of a service: who gets it, who waits, who has lost it and notices before changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from nightferry.clients.doors.cluster import ClusterAway
from nightferry.clients.patient_cluster import PatientCluster
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names
from nightferry.manifests import service as services
from nightferry.steps.rollout.lease.claim import LEASE_SECONDS, Claim, Rank
from nightferry.steps.rollout.lease.lease import RENEW_SECONDS, SILENT_SECONDS, WAIT_SECONDS
from nightferry.steps.rollout.lease.leased_cluster import Hold, hold
from nightferry.steps.rollout.lease.meeting import UnderWay

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.still_clock import StillClock
from tests.fakes.worlds.rollout_world import plan


class Place:
    """A namespace, and processes that want the Lease of `digits`."""

    def __init__(self, stack: ExitStack) -> None:
        self.clock = StillClock()
        self.cluster = MemoryCluster(self.clock)
        self._stack = stack

    def enter(self, claim: Claim, at_once: bool = False) -> Hold:
        opened = hold(lambda guard: guard(self.cluster), claim, self.clock, at_once=at_once, beating=False)
        return self._stack.enter_context(opened)

    @property
    def holder(self) -> str:
        return str(self.cluster.objects[("Lease", "digits")]["spec"].get("holderIdentity") or "")

    @property
    def transitions(self) -> int:
        return int(self.cluster.objects[("Lease", "digits")]["spec"]["leaseTransitions"])


@pytest.fixture
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(stack)


def rollout(order: int = 5, release: str = "", needed: bool = False) -> Claim:
    release = release or f"digits-2026-11-21.{order}"
    return Claim("digits", f"roll_out of {release}", Rank.ROLLOUT, order, release, needed)


def person(who: str = "ana") -> Claim:
    return Claim("digits", f"rollback by {who}", Rank.PERSON)


def housekeeping() -> Claim:
    return Claim("digits", "retire", Rank.HOUSEKEEPING)


def write(held: Hold) -> None:
    held.cluster.apply(services.unused("other"))


def written(place: Place) -> bool:
    return ("Service", "other") in place.cluster.objects


def test_reading_alone_takes_no_lease(place: Place) -> None:
    held = place.enter(housekeeping())
    held.cluster.get("Service", "digits")
    held.cluster.list("Deployment")
    assert place.cluster.names("Lease") == []
    write(held)
    assert place.cluster.names("Lease") == ["digits"]


def test_the_lease_says_who_and_what_and_by_which_order(place: Place) -> None:
    claim = rollout(17)
    write(place.enter(claim))
    lease = place.cluster.objects[("Lease", "digits")]
    assert "roll_out of digits-2026-11-21.17" in lease["spec"]["holderIdentity"]
    assert names.annotations_of(lease)[names.ORDER] == "17"
    assert lease["spec"]["leaseDurationSeconds"] == LEASE_SECONDS


def test_it_is_free_after_the_work_also_after_a_failure(place: Place) -> None:
    def fail() -> None:
        with hold(lambda guard: guard(place.cluster), rollout(), place.clock, at_once=True, beating=False) as held:
            write(held)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert place.holder == ""
    before = place.clock.slept
    write(place.enter(rollout(6)))
    assert place.clock.slept == before, "nobody waits for a free Lease"


@pytest.mark.parametrize("claim", [rollout(5), rollout(6), housekeeping(), person()])
def test_a_dead_holder_is_taken_over_within_the_lease(place: Place, claim: Claim) -> None:
    write(place.enter(person("ben")))  # who is never heard of again
    before = place.clock.slept
    held = place.enter(claim)
    write(held)
    assert LEASE_SECONDS <= place.clock.slept - before <= LEASE_SECONDS + 1
    assert (place.holder, place.transitions) == (claim.holder, 1)


@pytest.mark.parametrize("wrong", [-86400, 86400])
def test_another_clock_of_the_holders_says_nothing(place: Place, wrong: float) -> None:
    """A holder whose clock is a day behind is not dead, and one a day ahead not alive for ever."""
    write(place.enter(rollout()))
    spec = place.cluster.objects[("Lease", "digits")]["spec"]
    spec["renewTime"] = spec["renewTime"].replace("2026", "2025" if wrong < 0 else "2027")
    before = place.clock.slept
    write(place.enter(rollout()))
    assert LEASE_SECONDS <= place.clock.slept - before <= LEASE_SECONDS + 1


def test_one_that_lives_is_waited_for_and_then_told(place: Place) -> None:
    first = place.enter(rollout(5))
    write(first)
    slept = place.clock.sleep

    def both_go_on(seconds: float) -> None:
        slept(seconds)
        place.clock.sleep = slept  # type: ignore[method-assign]
        first.cluster.get("Service", "digits")
        place.clock.sleep = both_go_on  # type: ignore[method-assign]

    place.clock.sleep = both_go_on  # type: ignore[method-assign]
    start = place.clock.slept
    with pytest.raises(UnderWay) as caught:
        write(place.enter(rollout(5)))
    assert caught.value.reason == Reason.ROLLOUT_UNDER_WAY
    assert first.lease.claim.holder in caught.value.sentence
    assert WAIT_SECONDS <= place.clock.slept - start <= WAIT_SECONDS + LEASE_SECONDS
    assert not isinstance(caught.value, Permanent), "it is tried again"
    assert place.holder == first.lease.claim.holder


def test_housekeeping_leaves_a_service_alone_whose_holder_lives(place: Place) -> None:
    first = place.enter(rollout(5))
    write(first)
    slept = place.clock.sleep

    def both_go_on(seconds: float) -> None:
        slept(seconds)
        first.lease.check()

    place.clock.sleep = both_go_on  # type: ignore[method-assign]
    start = place.clock.slept
    with pytest.raises(UnderWay, match="left alone this time"):
        write(place.enter(housekeeping()))
    assert place.clock.slept - start <= RENEW_SECONDS + 1, "it does not wait until the holder is done"


def test_a_person_waits_for_no_rollout_and_the_rollout_stops(place: Place) -> None:
    first = place.enter(rollout(5))
    first.cluster.apply(services.unused("before"))
    before = place.clock.slept
    by_hand = place.enter(person())
    by_hand.cluster.apply(services.unused("by-hand"))
    assert place.clock.slept == before
    with pytest.raises(Permanent, match="rollback by ana") as caught:
        write(first)
    assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
    assert not written(place)
    for call in (lambda: first.cluster.get("Service", "digits"), lambda: first.cluster.delete("Service", "before")):
        with pytest.raises(Permanent):
            call()
    assert place.holder == by_hand.lease.claim.holder


def test_a_person_waits_for_another_person(place: Place) -> None:
    first = place.enter(person("ana"))
    write(first)
    slept = place.clock.sleep

    def ana_ends(seconds: float) -> None:
        slept(seconds)
        first.lease.let_go()

    place.clock.sleep = ana_ends  # type: ignore[method-assign]
    before = place.clock.slept
    write(place.enter(person("ben")))
    assert 0 < place.clock.slept - before < 1


def test_a_later_order_goes_before_an_earlier_one_that_has_not_switched(place: Place) -> None:
    first = place.enter(rollout(5))
    write(first)
    before = place.clock.slept
    later = place.enter(rollout(6), at_once=True)
    later.cluster.get("Service", "digits")
    assert place.clock.slept == before
    assert later.lease.former
    assert later.lease.former.release == "digits-2026-11-21.5"
    with pytest.raises(Permanent) as caught:
        write(first)
    assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED


def test_and_waits_for_one_that_has(place: Place) -> None:
    first = place.enter(rollout(5))
    made = first.cluster.create(services.unused("digits"))
    assert made
    identity = names.identity(plan("digits-2026-11-21.5"))
    first.cluster.apply(services.stable("digits", identity, plan().environment, notes={}, found=made))
    slept = place.clock.sleep

    def it_is_verified(seconds: float) -> None:
        slept(seconds)
        first.lease.let_go()

    place.clock.sleep = it_is_verified  # type: ignore[method-assign]
    before = place.clock.slept
    write(place.enter(rollout(6)))
    assert place.clock.slept > before


def test_an_earlier_order_does_not_begin(place: Place) -> None:
    later = place.enter(rollout(6))
    write(later)
    with pytest.raises(Permanent) as caught:
        place.enter(rollout(5), at_once=True).cluster.get("Service", "digits")
    assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
    assert place.holder == later.lease.claim.holder


def test_one_that_was_paused_notices_before_it_writes(place: Place) -> None:
    paused = place.enter(rollout(5))
    paused.cluster.apply(services.unused("before"))
    place.clock.advance(LEASE_SECONDS)
    again = place.enter(rollout(5))
    again.cluster.apply(services.unused("again"))
    with pytest.raises(Temporary) as caught:
        write(paused)
    assert caught.value.reason == Reason.ROLLOUT_UNDER_WAY
    assert not written(place)


def test_one_that_was_paused_and_is_not_missed_goes_on_with_a_fresh_lease(place: Place) -> None:
    """Somebody may be about to take it: what is written then is written by one that was renewed before."""
    paused = place.enter(rollout(5))
    paused.cluster.apply(services.unused("before"))
    stale = place.cluster.get("Lease", "digits")
    assert stale
    place.clock.advance(3600)
    write(paused)
    fresh = place.cluster.get("Lease", "digits")
    assert fresh
    assert fresh["metadata"]["resourceVersion"] != stale["metadata"]["resourceVersion"]


def test_one_that_hangs_is_not_renewed_by_its_thread(place: Place) -> None:
    held = place.enter(rollout(5))
    write(held)

    def renewed() -> str:
        return str(place.cluster.objects[("Lease", "digits")]["spec"]["renewTime"])

    first = renewed()
    place.clock.advance(SILENT_SECONDS - 1)
    held.lease.keep()  # what the thread does
    assert renewed() != first
    first = renewed()
    place.clock.advance(LEASE_SECONDS)
    held.lease.keep()
    assert renewed() == first


def test_a_lease_that_was_removed_by_hand_is_taken_anew(place: Place) -> None:
    held = place.enter(rollout(5))
    write(held)
    place.cluster.delete("Lease", "digits")
    held.cluster.apply(services.unused("more"))
    assert place.holder == held.lease.claim.holder


def test_what_a_person_spoilt_by_hand_is_taken_over_in_the_end(place: Place) -> None:
    write(place.enter(rollout(5)))
    lease = place.cluster.objects[("Lease", "digits")]
    lease["metadata"]["annotations"] = {names.RANK: "king", names.ORDER: "-3"}
    lease["spec"] = {"holderIdentity": "by hand"}
    write(place.enter(rollout(6)))
    assert "digits-2026-11-21.6" in place.holder


def deny(place: Place) -> None:
    def refuse(call: str, kind: str) -> None:
        if kind == "Lease":
            raise Permanent(Reason.CLUSTER_DENIED, f"{call} leases is not allowed.")

    place.cluster.before = refuse


def test_without_the_right_to_leases_a_rollout_says_so_and_changes_nothing(place: Place) -> None:
    deny(place)
    with pytest.raises(Permanent, match=r"roles\.yaml") as caught:
        write(place.enter(rollout(needed=True)))
    assert caught.value.reason == Reason.CLUSTER_DENIED
    assert not written(place)


@pytest.mark.parametrize("claim", [person(), housekeeping(), rollout()])
def test_without_the_right_to_leases_everything_else_goes_on(place: Place, claim: Claim) -> None:
    deny(place)
    write(place.enter(claim))
    assert written(place)


def test_a_right_that_is_taken_away_in_the_middle_leaves_nobody_with_a_wrong_release(place: Place) -> None:
    held = place.enter(rollout(needed=True))
    held.cluster.apply(services.unused("before"))
    deny(place)
    place.clock.advance(60)
    write(held)
    assert written(place)


def test_a_lease_of_another_program_is_not_touched(place: Place) -> None:
    theirs = {"kind": "Lease", "metadata": {"name": "digits"}, "spec": {"holderIdentity": "their-leader"}}
    place.cluster.create(theirs)
    with pytest.raises(Permanent) as caught:
        write(place.enter(rollout(needed=True)))
    assert caught.value.reason == Reason.ROLLOUT_REFUSED
    write(place.enter(person()))
    assert place.holder == "their-leader"


@pytest.mark.parametrize("call", ["get", "create", "patch"])
def test_a_server_that_is_away_for_a_moment_is_asked_again(place: Place, call: str) -> None:
    """Also where the call was carried out and its answer was lost."""
    away = 3
    with hold(
        lambda guard: PatientCluster(guard(place.cluster), place.clock),
        rollout(),
        place.clock,
        at_once=True,
        beating=False,
    ) as held:
        real = getattr(place.cluster, call)

        def carried_out_unheard(*given: object) -> object:
            nonlocal away
            done = real(*given)
            is_lease = given[0] == "Lease" or (isinstance(given[0], dict) and given[0]["kind"] == "Lease")
            if is_lease and away:
                away -= 1
                raise ClusterAway(Reason.CLUSTER_UNAVAILABLE, "no answer")
            return done

        setattr(place.cluster, call, carried_out_unheard)
        write(held)
        place.clock.advance(RENEW_SECONDS)
        held.cluster.apply(services.unused("more"))
        assert place.holder == held.lease.claim.holder
    assert written(place)


def test_a_call_that_is_repeated_is_looked_at_again(place: Place) -> None:
    """The server was away for longer than the Lease lasts, and somebody else was taken for alive meanwhile."""
    with hold(
        lambda guard: PatientCluster(guard(place.cluster), place.clock),
        rollout(5),
        place.clock,
        at_once=True,
        beating=False,
    ) as held:
        held.cluster.apply(services.unused("before"))
        real, tries = place.cluster.apply, 0

        def away_at_first(manifest: dict[str, object]) -> dict[str, object]:
            nonlocal tries
            tries += 1
            if tries == 1:
                place.cluster.apply = real  # type: ignore[method-assign]
                write(place.enter(person()))
                place.cluster.objects.pop(("Service", "other"))
                raise ClusterAway(Reason.CLUSTER_UNAVAILABLE, "no answer")
            return real(manifest)

        place.cluster.apply = away_at_first  # type: ignore[method-assign]
        with pytest.raises(NightferryError) as caught:
            write(held)
    assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
    assert not written(place)
