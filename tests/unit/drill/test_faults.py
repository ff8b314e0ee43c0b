"""What a fault takes for its own: the right reason is not enough where the record says that something else happened."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nightferry.drill.carry_out import Doors, carry_out
from nightferry.drill.catalogue import chosen
from nightferry.drill.fault import Fault, Unseen
from nightferry.drill.faults.starts import wrong_once_used
from nightferry.drill.machine import NoMachine
from nightferry.drill.trial import Trial
from nightferry.entities.decision import Decision
from nightferry.entities.reason import Reason
from nightferry.entities.state.service_state import LAST
from nightferry.errors import NightferryError, Permanent
from nightferry.manifests.trial import NAMESPACE
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.rollout_record import WITHDRAW, record_order, record_success
from nightferry.steps.rollout.lease.claims import of_rollout
from nightferry.steps.rollout.lease.lease import Lease
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.trial.clear import clear

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.worlds.rollout_world import World, plan

RELEASE = "digits-2026-11-21.1"
BEFORE = "digits-2026-11-20.1"
LATER = "digits-2026-11-21.2"
PRODUCTION = {"name": "production", "namespace": "production"}
CANARY = {
    "traffic": {"gateway": "gateway", "host": "digits.example"},
    "strategy": {"kind": "canary", "steps": [{"share": "10%", "minutes": 10}], "bake_minutes": 30},
}
NO_FIGURES = Permanent(Reason.NO_FIGURES, "There was too little to judge it by.")
WRONG = Permanent(Reason.VERIFY_GOLDEN_WRONG, "Golden example 3 should give 7, got 2.")


def fault(name: str) -> Fault:
    return chosen([name], quick=False)[0]


def trial_of(world: World, folder: Path, **changes: Any) -> Trial:
    """A trial of the release that production has."""
    world.roll_out(RELEASE, **PRODUCTION, **changes)
    entries = release_entries(world.ledger, RELEASE)
    decision = Decision.model_validate(entries[0].data)
    doors = doors_of(world, MemoryCluster(world.clock, NAMESPACE))
    machine = NoMachine("it is not ours.", {})
    return Trial(decision, read_plan(entries, LAST), doors=doors, machine=machine, folder=folder, actor="ana")


def doors_of(world: World, cluster: MemoryCluster) -> Doors:
    return Doors(cluster, world.ledger, MemoryModels(), world.clock, lambda plan, cluster: world.figures)


def judged(end: NightferryError, *, left: bool = True, bars: NightferryError | None = None) -> Any:
    """As much of a trial as a fault looks at: the rollout's end, and what the record has of it."""
    world = World()
    world.plan(BEFORE, **PRODUCTION)
    tried = world.plan(RELEASE, **PRODUCTION)
    if left:
        record_order(world.ledger, world.clock, tried, bars or end, BEFORE)
        record_success(world.ledger, world.clock, tried, WITHDRAW, f"production serves {BEFORE}.", {"to": BEFORE})
    ongoing: Future[None] = Future()
    ongoing.set_exception(end)
    return SimpleNamespace(ongoing=ongoing, candidate=RELEASE, doors=SimpleNamespace(ledger=world.ledger))


def test_a_release_without_figures_goes_back_and_bars_nothing() -> None:
    assert "too little" in fault("metrics gone").see(judged(NO_FIGURES))


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        pytest.param(judged(WRONG), "taken for verify_golden_wrong", id="another reason"),
        pytest.param(judged(NO_FIGURES, left=False), "never taken back", id="it stayed"),
        pytest.param(judged(NO_FIGURES, bars=WRONG), "barred", id="it barred something"),
    ],
)
def test_what_is_not_a_release_without_figures(trial: Any, said: str) -> None:
    with pytest.raises(Unseen, match=said):
        fault("metrics gone").see(trial)


def test_a_release_that_was_refused_before_it_had_users_was_not_wrong_once_it_was_used() -> None:
    assert "should give 7" in fault("wrong once it is used").see(judged(WRONG))
    with pytest.raises(Unseen, match="never taken back"):
        fault("wrong once it is used").see(judged(WRONG, left=False))


def test_what_goes_into_a_container_is_python_and_names_the_users_hosts() -> None:
    script = wrong_once_used({"127.0.0.1:30080", "10.96.0.7"})
    compile(script, "drill", "exec")
    assert "['10.96.0.7', '127.0.0.1:30080']" in script


def test_a_trial_has_no_canary_and_no_bake_of_the_service_it_copies(tmp_path: Path) -> None:
    trial = trial_of(World(), tmp_path, **CANARY)
    tried = trial.decide()
    assert (tried.environment.strategy.kind, tried.environment.strategy.bake_minutes) == ("blue_green", 0)
    assert (tried.environment.namespace, tried.environment.traffic) == (NAMESPACE, None)


def test_a_rollout_of_the_trial_gives_way_as_a_real_one_does(tmp_path: Path) -> None:
    world = World()
    cluster = MemoryCluster(world.clock, NAMESPACE)
    earlier, later = (plan(name, number, namespace=NAMESPACE) for number, name in ((3, RELEASE), (7, LATER)))
    Lease(cluster, of_rollout(later), world.clock).take()
    with pytest.raises(Permanent) as caught:
        carry_out(earlier, doors_of(world, cluster), tmp_path)
    assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
    assert {kind for kind, _ in cluster.objects} == {"Lease"}


def test_what_a_killed_drill_held_is_nobodys_in_the_next(tmp_path: Path) -> None:
    world = World()
    cluster = MemoryCluster(world.clock, NAMESPACE)
    Lease(cluster, of_rollout(plan(LATER, 7, namespace=NAMESPACE)), world.clock).take()
    clear(cluster, "digits", world.clock)
    assert not cluster.objects
