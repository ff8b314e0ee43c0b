"""The rehearsal: the last good releases are tried where nobody uses them, and the record says what was found."""

from __future__ import annotations

import pytest
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.probe_report import Fault, ProbeReport
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import Temporary
from nightferry.manifests.trial import NAMESPACE
from nightferry.steps.judging.reach_release import Probe
from nightferry.steps.record.ledger import verify
from nightferry.steps.record.state import read_state
from nightferry.steps.trial.rehearse import rehearse

from tests.fakes.memory.memory_cluster import Behaviour, MemoryCluster
from tests.fakes.worlds.rollout_world import Killed, World, image

FIRST, SECOND, THIRD = "digits-2026-11-21.1", "digits-2026-11-21.2", "digits-2026-11-21.3"
PRODUCTION = {"name": "production", "namespace": "production"}


class Night:
    """A world whose production served three releases, and the trial namespace of its cluster."""

    def __init__(self) -> None:
        self.world = World()
        for release in (FIRST, SECOND, THIRD):
            self.world.clock.advance(60)
            self.world.roll_out(release, **PRODUCTION)
            self.world.verify(release, **PRODUCTION)
        self.trial = MemoryCluster(self.world.clock, NAMESPACE)
        self.wrong: dict[str, Fault] = {}
        self.asked: list[str] = []

    def rehearse(self, night: str = "one", last: int = 3) -> LedgerEntry:
        return rehearse(
            "digits",
            cluster=self.trial,
            ledger=self.world.ledger,
            prepare=self._prepare,
            clock=self.world.clock,
            night=night,
            actor="rehearsal",
            last=last,
        )

    def _prepare(self, plan: RolloutPlan) -> Probe:
        def probe(address: str) -> ProbeReport:
            self.asked.append(plan.release)
            fault = self.wrong.get(plan.release)
            return ProbeReport(faults=[fault] if fault else [], checked=1, seconds=0.1)

        return probe

    def outcomes(self) -> dict[str, str]:
        found = read_state(self.world.ledger, "digits").rehearsal
        return found.outcomes if found else {}

    def facts(self) -> list[LedgerEntry]:
        return [one for one in self.world.entries() if one.kind == Kind.REHEARSAL]


@pytest.fixture
def night() -> Night:
    return Night()


def test_the_last_good_releases_are_started_and_asked_one_after_the_other(night: Night) -> None:
    most = 0

    def count(call: str, kind: str) -> None:
        nonlocal most
        most = max(most, len(night.trial.names("Deployment")))

    night.trial.before = count
    found = night.rehearse()
    assert (found.reason, found.sentence) == (
        Reason.REHEARSED,
        "3 of the last 3 good releases would start and answer.",
    )
    assert night.asked == [THIRD, SECOND, FIRST]
    assert night.outcomes() == {THIRD: "right", SECOND: "right", FIRST: "right"}
    assert most == 1
    assert not night.trial.objects
    verify(night.world.ledger, "digits")


def test_the_very_images_are_looked_for_in_the_registry(night: Night) -> None:
    made: list[tuple[str, str, str]] = []

    def look(call: str, kind: str) -> None:
        for name in night.trial.names("Deployment"):
            container = night.trial.objects["Deployment", name]["spec"]["template"]["spec"]["containers"][0]
            made.append((name, container["image"], container["imagePullPolicy"]))

    night.trial.before = look
    night.rehearse(last=2)
    assert list(dict.fromkeys(made)) == [
        ("digits-20261121-3", image(THIRD), "Always"),
        ("digits-20261121-2", image(SECOND), "Always"),
    ]


@pytest.mark.parametrize(
    ("behaviour", "outcome", "reason"),
    [
        pytest.param(Behaviour(crash="boom"), "wrong", Reason.REHEARSAL_FAILED, id="crashes"),
        pytest.param(Behaviour(ready_after=None), "wrong", Reason.REHEARSAL_FAILED, id="never ready"),
        pytest.param(
            Behaviour(waiting="ImagePullBackOff", waiting_message="manifest unknown"),
            "not_pulled",
            Reason.REHEARSAL_FAILED,
            id="image gone",
        ),
        pytest.param(
            Behaviour(waiting="ImagePullBackOff", waiting_message="dial tcp: connection refused"),
            "not_seen",
            Reason.REHEARSAL_UNSEEN,
            id="registry down",
        ),
        pytest.param(Behaviour(unschedulable="0/3 nodes"), "not_seen", Reason.REHEARSAL_UNSEEN, id="no room"),
        pytest.param(
            Behaviour(waiting="CreateContainerConfigError", waiting_message='secret "churn-database" not found'),
            "not_tried",
            Reason.REHEARSED,
            id="secret missing",
        ),
    ],
)
def test_what_is_wrong_and_what_could_not_be_looked_at_are_told_apart(
    night: Night, behaviour: Behaviour, outcome: str, reason: Reason
) -> None:
    night.trial.behaviours[image(SECOND)] = behaviour
    assert night.rehearse().reason == reason
    assert night.outcomes() == {THIRD: "right", SECOND: outcome, FIRST: "right"}
    assert not night.trial.objects


def test_wrong_answers_are_found(night: Night) -> None:
    night.wrong[FIRST] = Fault(kind="golden", sentence="seven.png should give 7, got 1.")
    found = night.rehearse()
    assert found.reason == Reason.REHEARSAL_FAILED
    assert f"{FIRST} would not: " in found.sentence
    assert "seven.png should give 7, got 1." in found.sentence


def test_a_night_has_one_fact_and_a_second_try_of_it_does_nothing(night: Night) -> None:
    first = night.rehearse()
    night.asked.clear()
    assert night.rehearse() == first
    assert (night.asked, len(night.facts())) == ([], 1)
    night.rehearse("another")
    assert len(night.facts()) == 2


def test_a_try_after_one_that_could_not_look_writes_what_it_finds(night: Night) -> None:
    night.trial.behaviours[image(SECOND)] = Behaviour(unschedulable="0/3 nodes")
    assert [night.rehearse().reason for _ in range(2)] == [Reason.REHEARSAL_UNSEEN] * 2
    night.trial.behaviours.clear()
    assert night.rehearse().reason == Reason.REHEARSED
    assert [one.reason for one in night.facts()] == [Reason.REHEARSAL_UNSEEN, Reason.REHEARSED]
    assert night.outcomes()[SECOND] == "right"


def test_killed_at_any_call_the_next_one_takes_over_and_leaves_nothing(night: Night) -> None:
    calls = 0
    while True:
        calls += 1
        left = calls

        def kill(call: str, kind: str) -> None:
            nonlocal left
            left -= 1
            if left <= 0:  # a process that is gone cleans nothing up
                raise Killed

        night.trial.before = kill
        try:
            night.rehearse(f"night {calls}", last=1)
        except Killed:
            night.trial.before = lambda *_: None
            assert night.rehearse(f"night {calls}", last=1).reason == Reason.REHEARSED
            assert not night.trial.objects
            continue
        break
    assert calls > 10
    verify(night.world.ledger, "digits")


def test_without_a_good_release_it_says_so_and_touches_nothing() -> None:
    night = Night()
    night.world.ledger.blobs.clear()
    night.world.ledger.notes = {}
    found = night.rehearse()
    assert (found.reason, night.asked) == (Reason.REHEARSED, [])
    assert "none to go back to" in found.sentence


def test_a_cluster_that_does_not_answer_writes_no_verdict(night: Night) -> None:
    night.trial.fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "no answer")
    with pytest.raises(Temporary):
        night.rehearse()
    assert night.facts() == []


def test_the_state_keeps_the_newest(night: Night) -> None:
    night.rehearse("one")
    night.world.clock.advance(86400)
    night.wrong[THIRD] = Fault(kind="golden", sentence="wrong.")
    second = night.rehearse("two")
    found = read_state(night.world.ledger, "digits").rehearsal
    assert found is not None
    assert (found.sequence, found.time, found.outcomes[THIRD]) == (second.sequence, second.time, "wrong")
    assert read_state(night.world.ledger, "digits").traffic["production"].release == THIRD
