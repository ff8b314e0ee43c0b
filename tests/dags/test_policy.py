"""What every DAG of the project owes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from nightferry import settings
from nightferry.entities.dag_names import ASKING, is_asked, is_ours
from nightferry.errors import Permanent, Temporary
from nightferry.operators.pods.deployer_pod import DeployerPodOperator
from nightferry.sandbox.kubernetes.cluster_objects import objects

from tests.dags.bag import parsed

BAG_FILES = {
    "approve.py": 0,  # one for each service that asks people: see test_approvals
    "drift.py": 1,
    "end_previews.py": 1,
    "preview.py": 1,
    "rehearsal.py": 1,
    "release.py": 1,
    "retire.py": 1,
    "roll_back.py": 1,
    "service_files.py": 0,
    "watch.py": 1,
}


@pytest.fixture
def dags() -> dict[str, Any]:
    return dict(parsed().dags)


def test_every_dag_file_is_listed_and_parses_with_no_connection_configured() -> None:
    bag = parsed()
    from tests.dags.conftest import ROOT

    assert bag.import_errors == {}
    assert {path.name for path in (ROOT / "dags").glob("*.py")} == set(BAG_FILES)
    made = [dag.fileloc.rpartition("/")[2] for dag in bag.dags.values()]
    assert {name: made.count(name) for name in BAG_FILES} == BAG_FILES


def test_every_dag_says_whose_it_is_and_what_it_does(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert dag.doc_md.strip().startswith("###"), dag.dag_id
        assert dag.description
        assert "nightferry" in dag.tags
        assert {task.owner for task in dag.tasks} <= {"release-managers", "nightferry"}
        # Nobody waits behind another service's rollback or preview, nor a webhook behind a server that is slow.
        at_once = {"roll_back": 10, "preview": 10, "watch": 4}.get(dag.dag_id, 1)
        assert (dag.catchup, dag.max_active_runs) == (False, at_once)
        assert dag.dagrun_timeout


def test_the_rule_of_rights_knows_every_dag(dags: dict[str, Any]) -> None:
    """One that it does not know would be any user's to start."""
    assert [name for name in dags if not is_ours(name)] == []
    assert {name for name in dags if is_asked(name)} <= {"release_digits", *ASKING}


def test_every_task_ends_and_is_tried_again_with_growing_pauses(dags: dict[str, Any]) -> None:
    for task in [task for dag in dags.values() for task in dag.tasks]:
        assert task.execution_timeout, task.task_id
        assert dt.timedelta(0) < task.execution_timeout <= dt.timedelta(hours=2)
        if task.task_id == "watcher":
            assert task.retries == 0
            continue
        assert task.retries >= 1
        assert task.retry_exponential_backoff
        assert task.retry_delay < task.max_retry_delay


@pytest.mark.parametrize(
    ("fault", "action"),
    [
        pytest.param(Permanent("model_none", "None."), "fail", id="permanent"),
        pytest.param(Temporary("storage_unavailable", "Away."), "default", id="temporary"),
        pytest.param(KeyError("x"), "default", id="unforeseen"),
    ],
)
def test_the_kind_of_a_failure_decides_the_retries(dags: dict[str, Any], fault: Exception, action: str) -> None:
    for task in dags["release_digits"].tasks:
        if task.task_id != "watcher":
            assert task.retry_policy.evaluate(fault, 1, 3).action.value == action, task.task_id


def test_every_parameter_of_a_release_is_explained(dags: dict[str, Any]) -> None:
    params = dags["release_digits"].params
    assert set(params.keys()) == {"model", "commit", "reason", "force", "until", "resume"}
    for name in params:
        assert params.get_param(name).description
        assert params.get_param(name).schema["type"]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("model", "a/b"),
        ("model", "x" * 81),
        ("commit", "main"),
        ("commit", "a" * 39),
        ("force", "yes"),
        ("reason", "x" * 501),
    ],
)
def test_airflow_refuses_a_bad_parameter(dags: dict[str, Any], name: str, bad: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dags["release_digits"].params.get_param(name).resolve(bad)


def test_deployer_pods_keep_to_pod_security_restricted(dags: dict[str, Any]) -> None:
    pods = deployer_pods(dags)
    assert len(pods) == 12
    for task, pod in pods:
        (container,) = pod.spec.containers
        assert container.security_context.allow_privilege_escalation is False
        assert container.security_context.read_only_root_filesystem is True
        assert container.security_context.capabilities.drop == ["ALL"]
        assert pod.spec.security_context.run_as_non_root is True
        assert pod.spec.security_context.seccomp_profile.type == "RuntimeDefault"
        assert pod.spec.service_account_name == "nightferry-deployer"
        assert pod.spec.node_selector == {"kubernetes.io/os": "linux"}
        assert container.resources.limits
        assert container.resources.requests
        assert task.random_name_suffix, "without it, the provider may take another run's pod for its own"
        assert not task.log_pod_spec_on_failure
        assert pod.metadata.namespace == "nightferry"
        assert f"'{task.command}'" in allowed_tasks()


def allowed_tasks() -> str:
    """The rule of the admission policy that says which tasks a deployer may have."""
    policy = next(one for one in objects(["cluster"]) if one["metadata"]["name"] == "nightferry-deployer-pods")
    return next(str(one["expression"]) for one in policy["spec"]["validations"] if "args" in one["expression"])


def test_a_deployer_pod_reads_the_ledger_with_a_mounted_secret_or_its_own_identity(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = "azure.workload.identity/use"
    for _, pod in deployer_pods(dags):
        assert pod.metadata.labels[identity] == "true"
        assert [volume.name for volume in pod.spec.volumes] == ["tmp"]

    monkeypatch.setenv("NIGHTFERRY_STORAGE_CONNECTION_FILE", "/somewhere/storage-connection")
    for _, pod in deployer_pods(dict(parsed().dags)):
        assert identity not in pod.metadata.labels
        assert [volume.secret.secret_name for volume in pod.spec.volumes if volume.secret] == ["nightferry-storage"]
        given = {variable.name: variable.value for variable in pod.spec.containers[0].env}
        folder = "/var/run/secrets/nightferry/storage"
        assert given["NIGHTFERRY_STORAGE_CONNECTION_FILE"] == f"{folder}/connection-string"
        mounts = {mount.mount_path: mount.read_only for mount in pod.spec.containers[0].volume_mounts}
        assert mounts[folder]


def test_a_deployer_pod_reads_models_in_mlflow_with_a_mounted_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside an identity for the storage account, too; the token itself is in no variable."""
    monkeypatch.setenv("NIGHTFERRY_MLFLOW_URL", "https://mlflow.example.org")
    monkeypatch.setenv("NIGHTFERRY_MLFLOW_TOKEN_FILE", "/somewhere/token")
    for _, pod in deployer_pods(dict(parsed().dags)):
        assert pod.metadata.labels["azure.workload.identity/use"] == "true"
        assert [volume.secret.secret_name for volume in pod.spec.volumes if volume.secret] == ["nightferry-storage"]
        given = {variable.name: variable.value for variable in pod.spec.containers[0].env}
        assert given["NIGHTFERRY_MLFLOW_URL"] == "https://mlflow.example.org"
        assert given["NIGHTFERRY_MLFLOW_TOKEN_FILE"] == "/var/run/secrets/nightferry/storage/mlflow-token"


def deployer_pods(dags: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Every task that runs a deployer pod, and that pod as Kubernetes would be given it."""
    tasks = [task for dag in dags.values() for task in dag.tasks if isinstance(task, DeployerPodOperator)]
    for task in tasks:
        task.image = "deployer@sha256:" + "2" * 64
        task.give_settings(settings.load())
    return [(task, task.build_pod_request_obj(dry_run=True)) for task in tasks]


def test_a_released_task_waits_for_all_before_it(dags: dict[str, Any]) -> None:
    dag = dags["release_digits"]
    order = [task.task_id for task in dag.topological_sort()]
    assert order == [
        *("decide", "test_source", "fetch_model", "check_model", "build_image", "test_image", "publish_image"),
        *("staging.roll_out", "staging.verify", "production.roll_out", "production.verify"),
        *("staging.go_back", "blame", "record", "watcher"),
    ]
    rules = {task.task_id: task.trigger_rule.value for task in dag.tasks}
    assert (rules.pop("record"), rules.pop("watcher")) == ("all_done", "one_failed")
    assert (rules.pop("staging.go_back"), rules.pop("blame")) == ("one_failed", "one_failed")
    assert set(rules.values()) == {"all_success"}
    assert dag.task_dict["test_source"].upstream_task_ids == {"decide"}
    assert dag.task_dict["publish_image"].upstream_task_ids == {"test_source", "test_image"}
    assert dag.task_dict["watcher"].upstream_task_ids == set(order) - {"watcher"}
