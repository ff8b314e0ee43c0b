"""The DAG that rehearses going back: one pod for each service, one at a time, with a name for the night."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.clients.airflow.api import DEPLOYER_POOL
from nightferry.manifests.trial import NAMESPACE

from tests.dags.bag import parsed
from tests.dags.test_policy import allowed_tasks
from tests.dags.world import World


@pytest.fixture
def world(airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path / "versions", monkeypatch)


def test_one_pod_for_each_service_tries_what_could_be_gone_back_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "_pod", lambda operator: world.pods.append([operator.serves, *operator.arguments]))
    ran = parsed().dags["rehearsal"].test()
    assert str(ran.state.value) == "success"
    words = ["--service", "digits", "--night", ran.run_id, "--actor", "rehearsal"]
    assert world.pods == [[NAMESPACE, "rehearse", *words]]


def test_it_runs_each_night_one_service_at_a_time() -> None:
    dag = parsed().dags["rehearsal"]
    assert dag.schedule.expression == "30 4 * * *"
    assert (dag.max_active_runs, dag.max_active_tasks) == (1, 1)


def test_its_pod_is_one_that_the_cluster_lets_in() -> None:
    task = parsed().dags["rehearsal"].task_dict["digits"]
    assert f"'{task.command}'" in allowed_tasks()
    assert (task.pool, task.serves) == (DEPLOYER_POOL, NAMESPACE)
