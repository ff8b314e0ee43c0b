"""The DAG that looks for drift: it looks from Airflow's own process, and starts a pod only to put something back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from nightferry.clients.airflow.api import DEPLOYER_POOL
from nightferry.entities.reason import Reason
from nightferry.entities.state.drift import Drift
from nightferry.errors import Temporary
from nightferry.manifests import names
from nightferry.steps.rollout.drift.look import Look

from tests.dags.bag import parsed
from tests.dags.test_policy import allowed_tasks
from tests.dags.world import World
from tests.fakes.worlds.rollout_world import World as Rollouts

RELEASE = "digits-2026-11-21.1"
PLACE = "nightferry_cluster.production"


@pytest.fixture
def world(airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Production of digits serves a release, for some time."""
    world, rollouts = World(tmp_path / "versions", monkeypatch), Rollouts()
    rollouts.roll_out(RELEASE, name="production", namespace="production", replicas=2)
    rollouts.verify(RELEASE, name="production", namespace="production", replicas=2)
    rollouts.clock.sleep(120)
    world.ledger, world.cluster = rollouts.ledger, rollouts.cluster
    monkeypatch.setattr("nightferry.operators.look.SystemClock", lambda: rollouts.clock)
    monkeypatch.setattr("nightferry.operators.look.open_cluster", lambda conn_id, namespace: rollouts.cluster)
    monkeypatch.setattr("nightferry.hooks.storage.StorageHook.ledger_store", lambda hook: rollouts.ledger)
    monkeypatch.setattr(world, "_pod", lambda operator: world.pods.append([operator.serves, *operator.arguments]))
    return world


def run() -> tuple[str, dict[str, str]]:
    """Run the DAG once; its state and its tasks'."""
    ran = parsed().dags["drift"].test()
    return str(ran.state.value), {ti.task_id: str(ti.state) for ti in ran.get_task_instances()}


def edit(world: World) -> None:
    deployment = world.cluster.objects[("Deployment", names.object_name(RELEASE))]
    deployment["spec"]["replicas"] = 5


def reasons(world: World) -> list[str]:
    return [one.reason for one in world.entries() if one.kind == "drift"]


def test_one_task_looks_at_each_namespace_and_one_more_heals_where_that_is_asked_for(services: Path) -> None:
    assert set(parsed().dags["drift"].task_dict) == {"nightferry_cluster.staging", PLACE}
    text = (services / "digits.yaml").read_text(encoding="utf-8")
    (services / "digits.yaml").write_text(text.replace("replicas: 2", "replicas: 2, heal: true"), encoding="utf-8")
    assert set(parsed().dags["drift"].task_dict) == {"nightferry_cluster.staging", PLACE, f"{PLACE}.heal"}


def test_it_runs_often_enough(services: Path) -> None:
    dag = parsed().dags["drift"]
    assert dag.schedule.expression == "*/2 * * * *"
    assert (dag.max_active_runs, dag.catchup) == (1, False)


def test_without_heal_it_is_recorded_once_and_no_pod_is_started(world: World) -> None:
    edit(world)
    for _ in range(2):
        assert run()[0] == "success"
    assert (reasons(world), world.pods) == ([Reason.DRIFTED], [])


def test_with_heal_a_pod_puts_it_back_and_only_then(world: World) -> None:
    world.edit("replicas: 2", "replicas: 2, heal: true")
    assert run()[1][f"{PLACE}.heal"] == "skipped"
    assert world.pods == []
    edit(world)
    assert run()[0] == "success"
    assert world.pods == [["production", "look", "--service", "digits", "--environment", "production"]]


def test_one_that_cannot_be_looked_at_keeps_no_other_from_being_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.edit("replicas: 2", "replicas: 2, heal: true")
    folder = Path(os.environ["NIGHTFERRY_SERVICES"])
    text = (folder / "digits.yaml").read_text(encoding="utf-8")
    (folder / "letters.yaml").write_text(text.replace("service: digits", "service: letters"), encoding="utf-8")

    def look(operator: Any, one: Any) -> Look:
        if one.service == "digits":
            raise Temporary(Reason.STORAGE_UNAVAILABLE, "Away.")
        drift = Drift(what="replicas", where="Deployment", expected="2", found="5")
        return Look(one.service, one.environment, RELEASE, drifts=(drift,) if one.environment == "production" else ())

    monkeypatch.setattr("nightferry.operators.look.LookOperator._look", look)
    assert run()[0] == "failed"
    assert [words[3] for words in world.pods][:1] == ["letters"]


def test_the_pod_that_puts_back_is_one_that_the_cluster_lets_in(services: Path) -> None:
    text = (services / "digits.yaml").read_text(encoding="utf-8")
    (services / "digits.yaml").write_text(text.replace("replicas: 2", "replicas: 2, heal: true"), encoding="utf-8")
    heals = parsed().dags["drift"].task_dict[f"{PLACE}.heal"]
    assert f"'{heals.command}'" in allowed_tasks()
    assert (heals.pool, heals.serves) == (DEPLOYER_POOL, "production")
