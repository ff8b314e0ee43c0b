"""Traffic, record and the next decision never disagree, whatever happens in whatever order.

Random sequences of events: nights and requests, models and service files that change, releases that are wrong or that
a gate keeps from users, storage and clusters that do not answer, people who roll back, deployers that are killed at any
call, canaries and bakes with somebody else between any two calls, verifications cleared weeks later, clocks that jump
and zones that move. After each event the house is put in order as the retiring run does it, and then:

* the Service points to the release that the record says users get;
* what the record says is in use was verified, and answers rightly;
* the route's shares are those, and nobody has a share of a release that the record does not tell of;
* the next decision is "unchanged" only about what users really get.

`make drill` runs more of them: NIGHTFERRY_SEQUENCES says how many.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

import pytest
from nightferry.entities.fact_key import step_of
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.probe_report import Fault
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.state.waiting import waits
from nightferry.errors import NightferryError, Temporary
from nightferry.manifests import names
from nightferry.steps.record import ledger
from nightferry.steps.record.bar import lift, quarantines_of
from nightferry.steps.record.drop_release import drop
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain, verify
from nightferry.steps.record.record import record_release
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.retire_releases import retire_releases

from tests.fakes.worlds.agreement_world import STRATEGIES, AgreementWorld
from tests.fakes.worlds.rollout_world import Killed

SEQUENCES = int(os.environ.get("NIGHTFERRY_SEQUENCES", "1000"))
EVENTS = 6
BATCHES = 20
SILENT = Temporary(Reason.STORAGE_UNAVAILABLE, "No answer.")
WRONG = Fault(kind="golden", sentence="0.png should give 0, got 3.")


def _silent_from(call: int) -> Callable[..., None]:
    """Every call to the outside from this one on is not answered."""
    left = call

    def tick(*_: object) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise SILENT

    return tick


class Story:
    """One sequence of events, and what has to hold after each."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = AgreementWorld()
        self.world.leased = self.chance.random() < 0.3
        self.world.strategy = self.chance.choice(list(STRATEGIES))
        self.told: list[str] = []
        self.events = (
            self.night,
            self.night,
            self.night,
            self.new_model,
            self.new_settings,
            self.new_strategy,
            self.new_strategy,
            self.turns_wrong,
            self.cleared,
            self.found_wrong_later,
            self.found_wrong_later,
            self.killed,
            self.killed_while_judged,
            self.somebody_meanwhile,
            self.somebody_meanwhile,
            self.somebody_meanwhile,
            self.storage_down,
            self.cluster_down,
            self.rolled_back,
            self.rolled_back,
            self.gate_failed,
            self.kept,
            self.kept,
            self.gone_on,
            self.gone_on,
            self.declined,
            self.clock_jumps,
            self.zone_moves,
        )

    def run(self) -> None:
        """All events."""
        for _ in range(EVENTS):
            event = self.chance.choice(self.events)
            self.told.append(event.__name__)
            event()
            self.check_shares()
            self.put_in_order()
            self.check()

    # What happens

    def night(self) -> None:
        """A run: decided, rolled out, looked at, closed."""
        release = self.world.decide_next(force=self.chance.random() < 0.2)
        if release is None:
            return
        self.perhaps_wrong(release)
        with suppress(NightferryError):
            self.world.release(release)
        self.close(release)

    def perhaps_wrong(self, release: str) -> None:
        """Its answers from the beginning, or only once it has users; or its figures."""
        what = self.chance.random()
        if what < 0.2:
            self.world.faults[release] = WRONG
        elif what < 0.3:
            self.world.slow.add(release)
        elif what < 0.4:
            self.at_call(self.chance.randint(40, 200), lambda: self.world.faults.update({release: WRONG}))

    def new_model(self) -> None:
        self.world.model += 1

    def new_settings(self) -> None:
        self.world.replicas = self.chance.randint(1, 4)

    def new_strategy(self) -> None:
        self.world.strategy = self.chance.choice(list(STRATEGIES))

    def turns_wrong(self) -> None:
        """The release that users get answers wrongly from now on: nobody has looked yet."""
        release = self.world.in_use()
        if release not in (None, "none"):
            self.world.faults[str(release)] = WRONG

    def cleared(self) -> None:
        """Somebody clears the verification of a release, of today or of weeks ago."""
        self.world.clock.advance(self.chance.choice((60, 86400, 40 * 86400)))
        release = self.world.in_use() if self.chance.random() < 0.7 else self.some_release()
        if release not in (None, "none"):
            with suppress(NightferryError):
                self.world.verify_again(str(release))

    def found_wrong_later(self) -> None:
        """A release that was right and is closed turns wrong, and somebody clears its verification."""
        self.night()
        self.turns_wrong()
        release = self.world.in_use()
        if release not in (None, "none"):
            self.world.kill_at(self.chance.randint(1, 80), dead=True)
            with suppress(NightferryError, Killed):
                self.world.verify_again(str(release))
            self.world.live()

    def killed(self) -> None:
        """A run whose deployer is killed at some call, and repeated by Airflow, or never."""
        release = self.forced()
        if self.chance.random() < 0.3:
            self.world.faults[release] = WRONG
        self.world.kill_at(self.chance.randint(1, 60), dead=True)
        with suppress(NightferryError, Killed):
            self.world.release(release)
        self.world.live()
        if self.chance.random() < 0.5:
            with suppress(NightferryError):
                self.world.release(release)
            self.close(release)

    def killed_while_judged(self) -> None:
        """A canary's deployer is killed late, and its run may be repeated, at once or after it was cleared up."""
        self.world.strategy = self.chance.choice(("canary", "both"))
        release = self.forced()
        if self.chance.random() < 0.2:
            self.world.slow.add(release)
        self.world.kill_at(self.chance.randint(60, 400), dead=True)
        with suppress(NightferryError, Killed):
            self.world.release(release)
        self.world.live()
        self.check_shares()
        self.world.clock.advance(self.chance.choice((1, 20, 700)))
        again = self.chance.random()
        if again < 0.6:
            if again < 0.2:
                self.put_in_order()
            with suppress(NightferryError):
                self.world.release(release)
            self.close(release)

    def somebody_meanwhile(self) -> None:
        """While a run is under way somebody else comes, between any two of its calls."""
        release = self.forced()
        self.perhaps_wrong(release)
        self.world.live()
        others = (
            self.person,
            self.person,
            self.later,
            self.housekeeping,
            self.slept,
            self.an_earlier_one,
            self.silence,
        )
        other = self.chance.choice(others)
        self.told.append(f"({other.__name__})")
        self.at_call(self.chance.choice((self.chance.randint(1, 80), self.chance.randint(60, 400))), other)
        with suppress(NightferryError):
            self.world.release(release)
        self.world.live()
        self.check_shares()
        self.close(release)

    def at_call(self, call: int, what: Callable[[], None]) -> None:
        """Do something else between two calls of whoever is at work; it makes its own calls in peace."""
        left = call

        def tick(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.world.live()
                what()

        self.world.cluster.before = self.world.ledger.before = tick

    def person(self) -> None:
        if self.chance.random() < 0.3:
            self.world.ledger.before = _silent_from(1)
        to = self.some_release() if self.chance.random() < 0.2 else None
        with suppress(NightferryError):
            self.world.roll_back(to)
        self.world.live()

    def later(self) -> None:
        """A run of a later order, to its end or not."""
        self.new_strategy()
        release = self.forced()
        if self.chance.random() < 0.3:
            self.world.kill_at(self.chance.randint(60, 300), dead=True)
        with suppress(NightferryError, Killed):
            self.world.release(release)
        self.world.live()

    def silence(self) -> None:
        """The record does not answer from here on; what is under way may be right or wrong."""
        release = self.world.carried()
        if release and self.chance.random() < 0.7:
            self.world.faults[release.release] = WRONG
        self.world.ledger.before = _silent_from(1)

    def an_earlier_one(self) -> None:
        """A deployer of days ago wakes up."""
        release = self.some_release()
        if release:
            with suppress(NightferryError):
                self.world.release(release)

    def slept(self) -> None:
        """The deployer is stopped for a while; whoever tidies up may come meanwhile."""
        self.world.clock.advance(self.chance.choice((30, 400, 900)))
        if self.chance.random() < 0.7:
            self.housekeeping()

    def housekeeping(self) -> None:
        with suppress(NightferryError):
            self.world.finish("production")
        with suppress(NightferryError):
            retire_releases(self.world.cluster, "digits", self.world.clock)

    def storage_down(self) -> None:
        """The storage does not answer while a release is rolled out, from some moment on."""
        self.fails_from(self.world.ledger)

    def cluster_down(self) -> None:
        self.fails_from(self.world.cluster)

    def fails_from(self, door: object) -> None:
        release = self.forced()
        if self.chance.random() < 0.5:
            self.world.faults[release] = WRONG
        door.before = _silent_from(self.chance.randint(1, 60))  # type: ignore[attr-defined]
        with suppress(NightferryError):
            self.world.release(release)
        self.world.live()
        self.close(release)

    def rolled_back(self) -> None:
        """A person rolls back while anything may fail, and may ask again, for the same or for another release."""
        self.night()
        for _ in range(self.chance.randint(1, 2)):
            to = self.some_release() if self.chance.random() < 0.4 else None
            failing = self.chance.choice((None, None, self.world.ledger, self.world.cluster, "killed"))
            left = self.chance.randint(1, 60)
            if failing == "killed":
                self.world.kill_at(left, dead=True)
            elif failing is not None:
                failing.before = _silent_from(left)
            with suppress(NightferryError, Killed):
                self.world.roll_back(to)
            self.world.live()

    def gate_failed(self) -> None:
        """A gate keeps a release from users, for any of its parts; its failed step may be cleared, and go through."""
        if self.chance.random() < 0.7:
            self.new_model()
        if self.chance.random() < 0.3:
            self.new_settings()
        release = self.world.decide_next(force=self.chance.random() < 0.2)
        if release is None:
            return
        broken = [name for name in ("new", "old") if self.chance.random() < 0.6]
        newest = f"m{self.world.model}"
        self.world.fail_gate(release, lambda one: ("new" if one.model.version == newest else "old") in broken)
        if self.chance.random() < 0.3:
            with suppress(NightferryError):
                self.world.release(release)
        self.close(release)

    def clock_jumps(self) -> None:
        self.world.clock.advance(self.chance.choice((-7200, 7200, 86400)))

    def zone_moves(self) -> None:
        self.world.zone = self.chance.choice(("Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Zurich"))

    def kept(self) -> None:
        """A night whose release waits before production; its deployer may be asked to roll out all the same, later."""
        self.new_model()
        release = self.world.decide_next(force=self.chance.random() < 0.2)
        if release is not None:
            self.perhaps_wrong(release)
            self.world.keep(release, self.chance.choice(("frozen", "awaits_approval", "published")))

    def gone_on(self) -> None:
        """A run goes on with what waits, or with what waited; it may be killed, and a night may come between."""
        waiting = read_state(self.world.ledger, "digits").waiting
        release = waiting.release if waiting else self.some_release()
        if release is None:
            return
        decision = self.world.go_on(release)
        assert not decision.go or (waiting is not None and decision.release == waiting.release)
        if not decision.go:
            return
        if self.chance.random() < 0.3:
            self.world.kill_at(self.chance.randint(1, 80), dead=True)
        with suppress(NightferryError, Killed):
            self.world.release(release)
        self.world.live()
        if self.chance.random() < 0.7:
            self.close(release)

    def declined(self) -> None:
        """Somebody says no to what waits."""
        waiting = read_state(self.world.ledger, "digits").waiting
        if waiting is not None:
            facts = {"reason": "declined", "sentence": "Bert says no."}
            drop(self.world.ledger, self.world.clock, self.world.decision_of(waiting.release), "production", **facts)

    def forced(self) -> str:
        """A decision to release; what is quarantined is lifted for it."""
        world = self.world
        for one in quarantines_of(world.ledger, "digits"):
            lift(world.ledger, world.clock, "digits", one.number, why="try again", actor="ana")
        release = world.decide_next(force=True)
        assert release is not None
        return release

    # Afterwards

    def close(self, release: str) -> None:
        """What `record` does."""
        decision = self.world.decision_of(release)
        record_release(self.world.ledger, self.world.clock, decision, decision.environments)

    def put_in_order(self) -> None:
        """What the retiring run does: twice, since what it finds wrong it takes back first."""
        for _ in range(2):
            self.world.clock.advance(700)
            with suppress(NightferryError):
                self.world.finish("production")
            retire_releases(self.world.cluster, "digits", self.world.clock)

    def some_release(self) -> str | None:
        found = [entry.release for entry in Chain(self.world.ledger, "digits") if entry.kind == Kind.DECISION]
        return self.chance.choice([one for one in found if one] or [None])

    def check_shares(self) -> None:
        """Nobody has a share of a release that the record does not tell of."""
        share = self.world.carried()
        if share:
            canary = self.world.traffic("production").canary
            assert canary, f"{share} is not on the record"
            assert (canary.release, canary.order) == (share.release, share.order), (
                f"{share}, but by the record {canary}"
            )
            assert canary.share >= share.share

    def check_canary_is_over(self) -> None:
        """Nobody watches over one any more, so nobody has a share."""
        canary = self.world.traffic("production").canary
        assert canary is None or not canary.stands, f"abandoned: {canary}"
        assert canary is None or canary.withdrawing is None, f"not ended: {canary}"
        assert self.world.carried() is None
        served = self.world.in_use()
        if served not in (None, "none"):
            assert self.world.shares() == {names.object_name(str(served)): 100}, "the route is not the Service's"

    def check(self) -> None:
        """What has to hold."""
        self.check_canary_is_over()
        world = self.world
        world.check()
        served = world.in_use()
        traffic = world.traffic("production")
        assert (traffic.release or "none") == (served or "none"), "the record says another release than the Service"
        state = read_state(world.ledger, "digits")
        if state.in_use:
            assert served == state.in_use
            assert not [one for one in state.quarantines if one.unseen and one.release == served], "proved, and barred"
        endings = [entry for entry in Chain(world.ledger, "digits") if entry.kind == Kind.RELEASE]
        newest: dict[str, str] = {}
        for entry in endings:
            newest.setdefault(str(entry.release), entry.reason)
        for release, reason in newest.items():
            if reason == Reason.RELEASED:
                steps = {step_of(entry.key) for entry in release_entries(world.ledger, release)}
                assert "production.verify" in steps
                assert "production.withdrawal" not in steps, f"{release} is called released, and was taken back"
        if state.waiting:
            assert waits(release_entries(world.ledger, state.waiting.release)), "it waits by the state alone"
            assert served != state.waiting.release, "users get what waits"
        decision = world.weigh()
        assert decision.reason != Reason.WAITING or not state.superseded
        if decision.reason == Reason.UNCHANGED:
            assert decision.in_use == served, "unchanged, about a release that nobody serves"
            assert served is not None
            assert world.model_of(served) == world.model
        verify(world.ledger, "digits")
        numbers = [entry.release for entry in Chain(world.ledger, "digits") if entry.kind == Kind.DECISION]
        named = [one for one in numbers if one]
        assert len(set(named)) == len(named), "two releases of one name"
        assert all(ReleaseId.parse(one) for one in named)


@pytest.fixture(autouse=True)
def parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that is written never changes: reading it again and again would take a third of the time."""
    monkeypatch.setattr(ledger, "parse", lru_cache(maxsize=1024)(ledger.parse))


@pytest.mark.parametrize(
    "batch", [pytest.param(n, marks=pytest.mark.xdist_group(f"agreement-{n}")) for n in range(BATCHES)]
)
def test_traffic_record_and_the_next_decision_agree(batch: int) -> None:
    for number in range(SEQUENCES // BATCHES):
        story = Story(batch * 1_000_000 + number)
        try:
            story.run()
        except Exception as fault:
            raise AssertionError(f"sequence {batch * 1_000_000 + number}: {', '.join(story.told)}: {fault}") from fault
