"""The DAGs of previews: what a person asks for is built, tested and brought up, and ended when its time is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nightferry.clients.airflow.api import BUILDER_POOL, DEPLOYER_POOL
from nightferry.deployer.arguments import parser
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.manifests.trial import NAMESPACE
from nightferry.steps.record.state import read_state

from tests.dags.bag import parsed
from tests.dags.test_policy import allowed_tasks
from tests.dags.world import World
from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.worlds.preview_world import Previews

MODEL = "2026-11-20-a"
PREVIEW = "preview-digits-1"


@pytest.fixture
def world(airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path / "versions", monkeypatch)
    world.cluster = MemoryCluster(namespace=NAMESPACE)
    monkeypatch.setattr("nightferry.operators.previews.pin.source", lambda settings, source: world)
    monkeypatch.setattr("nightferry.operators.previews.pin.open_cluster", lambda conn_id, namespace: world.cluster)
    monkeypatch.setattr("nightferry.operators.previews.end.open_cluster", lambda conn_id, namespace: world.cluster)
    monkeypatch.setattr(world, "_pod", lambda operator: world.pods.append([operator.serves, *operator.arguments]))
    return world


def run(dag_id: str, **conf: Any) -> tuple[str, dict[str, str]]:
    """Run the DAG once; its state and its tasks'."""
    dag = parsed().dags[dag_id]
    for task in dag.tasks:
        task.retry_delay = task.retry_delay * 0
    ran = dag.test(run_conf=conf or None)
    return str(ran.state.value), {ti.task_id: str(ti.state) for ti in ran.get_task_instances()}


def of_previews(world: World) -> list[LedgerEntry]:
    return [one for one in world.entries() if one.kind == "preview"]


def test_it_is_built_and_tested_as_a_release_is_never_published_and_brought_up(world: World) -> None:
    state, tasks = run("preview", service="digits", model=MODEL, hours=2, reason="the new sevens")
    assert state == "success", tasks
    assert world.pods == [[NAMESPACE, "preview", "--preview", PREVIEW]]
    steps = [one.key.rpartition("/")[2] for one in of_previews(world)][1:]
    assert sorted(steps) == ["build_image", "check_model", "fetch_model", "test_image", "test_source"]
    assert {repository.rpartition("/")[2] for repository, _ in world.images} == {"digits-candidates"}
    first = of_previews(world)[0]
    assert (first.reason, first.data["preview"], first.data["hours"]) == (Reason.PREVIEWING, PREVIEW, 2)
    assert (first.data["candidate"]["model"]["version"], first.data["reason"]) == (MODEL, "the new sevens")
    assert {one.kind for one in world.entries()} == {"preview"}
    assert read_state(world.ledger, "digits").open is None


def test_a_step_that_fails_ends_it_on_the_record_and_starts_no_pod(world: World) -> None:
    world.faults["build_image"] = [Permanent(Reason.IMAGE_BUILD_FAILED, "No.")]
    state, tasks = run("preview", service="digits", model=MODEL)
    assert (state, tasks["build_image"], tasks["bring_up"]) == ("failed", "failed", "upstream_failed")
    last = of_previews(world)[-1]
    assert (last.key, last.reason) == (f"{PREVIEW}/ended", Reason.IMAGE_BUILD_FAILED)
    assert "build_image failed" in last.sentence
    assert (world.pods, read_state(world.ledger, "digits").previews) == ([], ())


def test_what_cannot_be_pinned_is_on_the_record(world: World) -> None:
    assert run("preview", service="digits", model="2020-01-01-none")[0] == "failed"
    (entry,) = of_previews(world)
    assert (entry.reason, "preview" in entry.data) == (Reason.MODEL_UNKNOWN, False)


def test_without_a_place_nothing_is_built_and_it_is_said_who_has_them(world: World) -> None:
    others = Previews()
    world.cluster = others.trial
    up = [others.up(service, service=service, hours=72) for service in ("churn", "letters", "flowers")]
    for name in up:
        job = others.trial.objects["Job", name]
        job["metadata"]["annotations"]["nightferry.dev/until"] = "2999-01-01T00:00:00Z"
    assert run("preview", service="digits", model=MODEL)[0] == "failed"
    (entry,) = of_previews(world)
    assert entry.reason == Reason.PREVIEW_FULL
    assert all(name in entry.sentence for name in up)
    assert world.built == []


def test_the_word_of_a_failed_pod_is_the_records(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def pod(operator: Any) -> None:
        raise Temporary(Reason.CLUSTER_UNAVAILABLE, "Away.")

    monkeypatch.setattr(world, "_pod", pod)
    state, tasks = run("preview", service="digits", model=MODEL)
    assert (state, tasks["bring_up"], tasks["record"]) == ("failed", "failed", "success")
    assert of_previews(world)[-1].reason == Reason.CLUSTER_UNAVAILABLE
    assert read_state(world.ledger, "digits").previews == ()


def test_one_preview_waits_for_no_other_and_releases_go_first() -> None:
    dag = parsed().dags["preview"]
    assert dag.max_active_runs > 1
    assert (dag.schedule, dag.max_active_tasks >= 10) == (None, True)
    pools = {name: task.pool for name, task in dag.task_dict.items()}
    assert {name for name, pool in pools.items() if pool == BUILDER_POOL} == {
        *("pin", "test_source", "build_image", "test_image")
    }
    release = parsed().dags["release_digits"]
    for name in ("test_source", "build_image", "test_image"):
        assert (_rule(dag, name), _rule(release, name)) == ((1, "absolute"), (1, "downstream"))


def test_its_pods_are_some_that_the_cluster_lets_in() -> None:
    dags = parsed().dags
    for task in (dags["preview"].task_dict["bring_up"], dags["end_previews"].task_dict["nightferry_cluster"]):
        assert f"'{task.command}'" in allowed_tasks()
        assert (task.pool, task.serves) == (DEPLOYER_POOL, NAMESPACE)


def test_where_nothing_is_over_no_pod_is_started(world: World) -> None:
    assert run("end_previews") == ("success", {"nightferry_cluster": "skipped"})
    assert world.pods == []


def test_one_that_is_over_is_ended_by_a_pod(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    others = Previews()
    others.up(hours=1)
    others.clock.advance(3600)
    world.cluster = others.trial
    monkeypatch.setattr("nightferry.hooks.storage.StorageHook.ledger_store", lambda hook: others.ledger)
    assert run("end_previews")[0] == "success"
    assert world.pods == [[NAMESPACE, "end_previews"]]


def test_a_person_ends_one(world: World) -> None:
    assert run("end_previews", preview=PREVIEW, reason="seen enough")[0] == "success"
    said = ["--preview", PREVIEW, "--actor", "dag_test", "--reason=seen enough"]
    assert world.pods == [[NAMESPACE, "end_previews", *said]]


def test_a_reason_reaches_the_deployer_whatever_it_begins_with_and_without_secrets(world: World) -> None:
    """Whoever may look at pods sees their arguments."""
    assert run("end_previews", preview=PREVIEW, reason="-token=hunter2")[0] == "success"
    given = parser().parse_args(world.pods[0][1:])
    assert (given.preview, given.reason) == (PREVIEW, "-token=***")


def test_the_end_is_looked_for_often_enough() -> None:
    dag = parsed().dags["end_previews"]
    assert (dag.schedule.expression, dag.max_active_runs) == ("*/5 * * * *", 1)


@pytest.mark.parametrize(
    ("name", "bad"), [("model", "a/b"), ("commit", "main"), ("hours", 0), ("hours", 73), ("service", "nobody")]
)
def test_airflow_refuses_a_bad_parameter(name: str, bad: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        parsed().dags["preview"].params.get_param(name).resolve(bad)


def _rule(dag: Any, name: str) -> tuple[int, str]:
    """What Airflow orders the tasks of a pool by: a weight, and whose weights are added to it."""
    task = dag.task_dict[name]
    return task.priority_weight, str(getattr(task.weight_rule, "value", task.weight_rule))
