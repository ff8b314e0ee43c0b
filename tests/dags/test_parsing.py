"""How the DAG files deal with service files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from nightferry.clients.airflow.api import BUILDER_POOL, DEPLOYER_POOL
from nightferry.operators.pods.deployer_pod import DeployerPodOperator

from tests.dags.bag import parsed
from tests.dags.conftest import ROOT
from tests.fakes.a_release import SERVICE_FILE


def another(services: Path, name: str, text: str = SERVICE_FILE) -> None:
    (services / f"{name}.yaml").write_text(text.replace("service: digits", f"service: {name}"), encoding="utf-8")


def releases() -> set[str]:
    return {name for name in parsed().dags if name.startswith("release_")}


def test_each_service_file_has_a_dag(services: Path) -> None:
    another(services, "letters-2")

    assert releases() == {"release_digits", "release_letters-2"}


def test_a_bad_service_file_is_shown_and_hinders_no_other(services: Path) -> None:
    another(services, "letters", SERVICE_FILE + "colour: blue\n")
    another(services, "words", SERVICE_FILE.replace("0 2 * * *", "61 2 * * *"))

    bag = parsed()

    assert {name for name in bag.dags if name.startswith("release_")} == {"release_digits"}
    assert [Path(path).name for path in bag.import_errors] == ["service_files.py"]
    shown = next(iter(bag.import_errors.values()))
    assert "letters.yaml" in shown
    assert "colour: unknown key" in shown
    assert "words.yaml" in shown
    assert "61 2 * * *" in shown


def test_a_setting_that_cannot_be_is_shown(services: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTFERRY_GIT_SECONDS", "abc")

    bag = parsed()

    assert bag.import_errors
    assert [shown for shown in bag.import_errors.values() if "NIGHTFERRY_GIT_SECONDS is 'abc'" not in shown] == []


def test_two_files_of_one_service_take_down_that_service_alone(services: Path) -> None:
    another(services, "letters")
    (services / "twin.yaml").write_text(SERVICE_FILE, encoding="utf-8")

    assert releases() == {"release_letters"}


def test_a_service_without_a_schedule_is_released_on_request_only(services: Path) -> None:
    lines = [line for line in SERVICE_FILE.splitlines(keepends=True) if not line.startswith("schedule")]
    another(services, "letters", "".join(lines))

    assert parsed().dags["release_letters"].schedule is None


def test_nobody_runs_a_backfill_of_releases(services: Path) -> None:
    """It clears runs that are over and gives them other parameters, which Airflow lets whoever may start one; and runs
    of it begin beside each other."""
    for name in ("release_digits", "end_previews"):
        allowed = parsed().dags[name].allowed_run_types
        assert allowed is not None
        assert {one.value for one in allowed} == {"scheduled", "manual", "operator_triggered"}


def test_a_tasks_process_makes_only_its_own_dag(services: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another(services, "letters")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "release_letters")

    assert releases() == {"release_letters"}


def test_retiring_goes_once_to_each_namespace_for_all_its_services(services: Path) -> None:
    another(services, "letters")

    tasks = parsed().dags["retire_releases"].task_dict

    assert set(tasks) == {"nightferry_cluster.staging", "nightferry_cluster.production"}
    assert tasks["nightferry_cluster.staging"].services == ("digits", "letters")


def test_the_pool_bounds_every_deployer_pod(services: Path) -> None:
    """Its tasks wait in Airflow: thirty pods at once would not fit on a small cluster."""
    tasks = [task for dag in parsed().dags.values() for task in dag.tasks]
    pods = {task.task_id for task in tasks if isinstance(task, DeployerPodOperator)}
    assert {"production.roll_out", "production.verify", "nightferry_cluster.production"} <= pods
    assert {task.pool for task in tasks if isinstance(task, DeployerPodOperator)} == {DEPLOYER_POOL}


def test_a_pool_bounds_what_builds_and_starts_images(services: Path) -> None:
    """An image that starts beside thirty others does not start in time, and is called wrong for it."""
    tasks = [task for dag in parsed().dags.values() for task in dag.tasks]
    building = {"test_source", "build_image", "test_image", "blame", "pin"}
    assert {task.task_id for task in tasks if task.pool == BUILDER_POOL} == building


def test_a_verification_goes_before_another_services_rollout(services: Path) -> None:
    """Else, with thirty at once, none would be verified before the last is rolled out."""
    from airflow.task.priority_strategy import validate_and_load_priority_weight_strategy

    dag = parsed().dags["release_digits"]
    order = ["staging.roll_out", "staging.verify", "production.roll_out", "production.verify"]
    weights = []
    for task in (dag.task_dict[name] for name in order):
        rule = validate_and_load_priority_weight_strategy(task.weight_rule)
        weights.append(rule.get_weight(SimpleNamespace(task=task)))
    assert weights == sorted(set(weights))


def test_parsing_imports_no_sdk_that_a_provider_operator_does_not_need(services: Path) -> None:
    script = """
import json, sys, time
import airflow.providers.cncf.kubernetes.operators.pod, airflow.providers.docker.operators.docker
import airflow.providers.standard.utils.skipmixin
from airflow.dag_processing.dagbag import DagBag
before, start = set(sys.modules), time.process_time()
bag = DagBag(dag_folder=sys.argv[1])
print(json.dumps({"errors": list(bag.import_errors.values()), "dags": len(bag.dags),
    "seconds": time.process_time() - start, "new": sorted({name.split(".")[0] for name in set(sys.modules) - before})}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(ROOT / "dags")], env=os.environ, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout.strip().splitlines()[-1])

    assert said["errors"] == []
    assert said["dags"] == 8
    assert not {"azure", "onnxruntime", "numpy", "onnx", "sklearn"} & set(said["new"])
    assert said["seconds"] < 2


def test_after_the_plugins_preload_a_task_parses_its_dag_without_importing_anything_heavy(services: Path) -> None:
    script = """
import json, os, sys
sys.argv[1:1] = ["scheduler"]
import nightferry_plugin
before = set(sys.modules)
os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = "release_digits"
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[2])
assert list(bag.dags) == ["release_digits"], bag.import_errors
print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""
    path = os.pathsep.join([str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", script, str(ROOT / "dags" / "release.py")],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    new = set(json.loads(done.stdout.strip().splitlines()[-1]))

    assert not new & {"azure", "kubernetes", "docker", "requests", "nightferry", "pydantic", "yaml"}
