"""Traffic, record and the next decision never disagree, whatever happens in whatever order.

Random sequences of events: nights and requests, models and service files that change, releases that are wrong or that
a gate keeps from users, storage and clusters that do not answer, people who roll back, deployers that are killed at any
call, verifications cleared weeks later, clocks that jump and zones that move. After each event the house is put in
order as the retiring run does it, and then:

* the Service points to the release that the record says users get;
* what the record says is in use was verified, and answers rightly;
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
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import step_of
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.probe_report import Fault
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.errors import NightferryError, Temporary
from nightferry.steps.record import ledger
from nightferry.steps.record.bar import lift, quarantines_of
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain, verify
from nightferry.steps.record.record import record_release
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.retire_releases import retire_releases

from tests.fakes.worlds.agreement_world import AgreementWorld
from tests.fakes.worlds.rollout_world import Killed

SEQUENCES = int(os.environ.get("NIGHTFERRY_SEQUENCES", "2000"))
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
        self.told: list[str] = []
        self.events = (
            self.night,
            self.night,
            self.night,
            self.new_model,
            self.new_settings,
            self.turns_wrong,
            self.cleared,
            self.found_wrong_later,
            self.found_wrong_later,
            self.killed,
            self.storage_down,
            self.cluster_down,
            self.rolled_back,
            self.rolled_back,
            self.gate_failed,
            self.clock_jumps,
            self.zone_moves,
        )

    def run(self) -> None:
        """All events."""
        for _ in range(EVENTS):
            event = self.chance.choice(self.events)
            self.told.append(event.__name__)
            event()
            self.put_in_order()
            self.check()

    # What happens

    def night(self) -> None:
        """A run: decided, rolled out, looked at, closed."""
        release = self.world.decide_next(force=self.chance.random() < 0.2)
        if release is None:
            return
        if self.chance.random() < 0.3:
            self.world.faults[release] = WRONG
        with suppress(NightferryError):
            self.world.release(release)
        self.close(release)

    def new_model(self) -> None:
        self.world.model += 1

    def new_settings(self) -> None:
        self.world.replicas = self.chance.randint(1, 4)

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
        entries = release_entries(self.world.ledger, release)
        decided = next(entry for entry in entries if entry.kind == Kind.DECISION)
        decision = Decision.model_validate(decided.data)
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

    def check(self) -> None:
        """What has to hold."""
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
        decision = world.weigh()
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
