"""One user of the trial namespace at a time; a dead one is taken over, a living one is not."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from nightferry.clients.clock import SystemClock
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.manifests import trial
from nightferry.steps.trial import turn as turns
from nightferry.steps.trial.turn import LEASE_SECONDS, Turn, my_turn

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.still_clock import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def cluster(clock: StillClock) -> MemoryCluster:
    return MemoryCluster(clock, trial.NAMESPACE)


def test_a_turn_ends_with_nothing_left(cluster: MemoryCluster, clock: StillClock) -> None:
    with my_turn(cluster, "a drill", clock) as turn:
        assert turn.mine
    assert not cluster.objects
    assert clock.slept == 0


def test_one_that_renews_keeps_it_and_the_other_is_told_who_it_is(cluster: MemoryCluster, clock: StillClock) -> None:
    first = Turn(cluster, "a drill of digits", clock)
    first.take(0)

    class Living(StillClock):
        """Time in which the other one renews."""

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            clock.advance(seconds)
            found = cluster.get("Lease", trial.LEASE)
            assert found
            first._write(found)

    with pytest.raises(Temporary, match="used by a drill of digits") as busy:
        Turn(cluster, "another", Living(clock.time)).take(patience=60)
    assert busy.value.reason is Reason.TRIAL_BUSY
    assert first.mine


def test_one_that_is_gone_is_taken_over_within_its_lease_whatever_its_clock_said(
    cluster: MemoryCluster, clock: StillClock
) -> None:
    ahead = StillClock(clock.time + dt.timedelta(hours=3))
    gone = Turn(cluster, "gone", ahead)
    gone.take(0)
    second = Turn(cluster, "second", clock)
    second.take(0)
    assert (second.mine, gone.mine) == (True, False)
    assert clock.slept <= LEASE_SECONDS + 1
    with pytest.raises(Temporary, match="taken"):
        gone.refuse_lost()


def test_one_that_was_taken_over_takes_nothing_back(cluster: MemoryCluster, clock: StillClock) -> None:
    gone = Turn(cluster, "gone", clock)
    gone.take(0)
    second = Turn(cluster, "second", clock)
    second.take(0)
    gone.end()
    assert second.mine


def test_of_many_that_find_it_free_at_once_one_has_it(cluster: MemoryCluster) -> None:
    lock, holders, most, begun = threading.Lock(), 0, 0, threading.Barrier(8)

    class Locked(MemoryCluster):
        def create(self, manifest):  # type: ignore[no-untyped-def]
            with lock:
                return super().create(manifest)

        def apply(self, manifest):  # type: ignore[no-untyped-def]
            with lock:
                return super().apply(manifest)

    shared, done = Locked(SystemClock(), trial.NAMESPACE), []

    def use(number: int) -> None:
        nonlocal holders, most
        begun.wait()
        with my_turn(shared, f"user {number}", SystemClock(), patience=30):
            holders += 1
            most = max(most, holders)
            done.append(number)
            holders -= 1

    users = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join(60)
    assert (sorted(done), most) == (list(range(8)), 1)


def test_it_renews_beside_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "RENEW_SECONDS", 0.01)
    cluster = MemoryCluster(SystemClock(), trial.NAMESPACE)
    with my_turn(cluster, "a drill", SystemClock()):
        first = cluster.objects["Lease", trial.LEASE]["metadata"]["resourceVersion"]
        deadline = SystemClock().monotonic() + 10
        while cluster.objects["Lease", trial.LEASE]["metadata"]["resourceVersion"] == first:
            assert SystemClock().monotonic() < deadline
            SystemClock().sleep(0.01)


def test_while_the_cluster_was_away_nobody_could_renew(cluster: MemoryCluster, clock: StillClock) -> None:
    first = Turn(cluster, "a drill", clock)
    first.take(0)

    class Away(StillClock):
        """An API server that answers again after 40 s, and one who renews only then."""

        gone = True

        def sleep(self, seconds: float) -> None:
            if self.gone:
                self.gone = False
                self.advance(40)
                return
            super().sleep(seconds)
            clock.advance(seconds)
            found = cluster.get("Lease", trial.LEASE)
            assert found
            first._write(found)

    with pytest.raises(Temporary):
        Turn(cluster, "another", Away(clock.time)).take(patience=60)
    assert first.mine
