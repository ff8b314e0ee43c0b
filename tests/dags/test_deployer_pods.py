"""What a deployer pod that did not end well means, and what becomes of pods that were left behind."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from nightferry.entities.deployer_end import LAST_WORD
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.operators.pods.retire import RetireOperator

from tests.dags.world import CONNECTIONS


def an_operator() -> RetireOperator:
    return RetireOperator(
        task_id="retire", cluster="nightferry_cluster", serves="staging", services=["digits", "letters"]
    )


def a_pod(name: str, phase: str, minutes_ago: float | None = None, code: int = 0) -> Any:
    """A pod of one container, which ended so long ago."""
    ended = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes_ago) if minutes_ago is not None else None
    terminated = SimpleNamespace(exit_code=code, finished_at=ended) if ended else None
    state = SimpleNamespace(terminated=terminated, running=None if ended else SimpleNamespace(), waiting=None)
    containers = [SimpleNamespace(name="base", state=state)]
    status = SimpleNamespace(
        phase=phase, container_statuses=containers, init_container_statuses=None, conditions=None, reason=None
    )
    spec = SimpleNamespace(containers=[SimpleNamespace(name="base")], init_containers=None)
    metadata = SimpleNamespace(name=name, namespace="nightferry", labels={"try_number": "1"})
    return SimpleNamespace(status=status, spec=spec, metadata=metadata)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the provider's operator raises, one for each time that it runs."""
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

    monkeypatch.setenv("AIRFLOW_CONN_NIGHTFERRY_CLUSTER", json.dumps(CONNECTIONS["NIGHTFERRY_CLUSTER"]))
    monkeypatch.setenv("NIGHTFERRY_DEPLOYER_IMAGE", "deployer@sha256:" + "2" * 64)
    raised: list[Any] = []

    def execute(operator: Any, context: Any) -> None:
        if raised:
            raise raised.pop(0)

    monkeypatch.setattr(KubernetesPodOperator, "execute", execute)
    return raised


class Notes:
    """Stands where the task instance leaves its notes."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def run(operator: Any) -> tuple[NightferryError, dict[str, Any]]:
    """The error that running the operator ends in, and the note that it leaves."""
    notes = Notes()
    with pytest.raises(NightferryError) as raised:
        operator.execute({"ti": notes})
    return raised.value, notes.pushed["failure"]


@pytest.mark.parametrize(
    ("code", "kind"), [pytest.param(2, Permanent, id="permanent"), pytest.param(3, Temporary, id="temporary")]
)
def test_the_deployers_exit_code_says_whether_trying_again_helps(provider: list[Any], code: int, kind: type) -> None:
    provider.append(RuntimeError("the pod returned a failure"))
    operator = an_operator()
    operator.remote_pod = a_pod("mine", "Failed", 0, code)

    error, note = run(operator)

    assert type(error) is kind
    assert note["permanent"] is (kind is Permanent)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(403, Reason.CLUSTER_DENIED, id="refused"),
        pytest.param(500, Reason.CLUSTER_UNAVAILABLE, id="ill"),
    ],
)
def test_a_cluster_that_does_not_take_the_pod_is_named_and_asked_again(
    provider: list[Any], status: int, reason: Reason
) -> None:
    from kubernetes.client import ApiException

    refusal = ApiException(status=status, reason="No")
    refusal.body = '{"message": "the policy denied it"}'
    provider.append(refusal)

    error, note = run(an_operator())

    assert isinstance(error, Temporary)
    assert (error.reason, note["reason"]) == (reason, reason)
    assert "nightferry" in error.sentence
    assert ("the policy denied it" in error.sentence) is (status == 403)


def test_a_deployer_that_was_killed_is_tried_again(provider: list[Any]) -> None:
    provider.append(RuntimeError("the pod returned a failure"))
    operator = an_operator()
    operator.remote_pod = a_pod("mine", "Failed", 0, 137)

    error, _ = run(operator)

    assert isinstance(error, Temporary)
    assert "137" in error.sentence


def test_pods_that_ended_and_were_left_behind_are_removed(provider: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pods = [
        a_pod("running", "Running"),
        a_pod("just-ended", "Succeeded", 1),
        a_pod("left-behind", "Succeeded", 60),
        a_pod("failed-and-left-behind", "Failed", 60, 2),
    ]
    asked: list[tuple[str, str]] = []
    removed: list[str] = []

    def listed(namespace: str, label_selector: str) -> Any:
        asked.append((namespace, label_selector))
        return SimpleNamespace(items=pods)

    operator = an_operator()
    operator.client = SimpleNamespace(
        list_namespaced_pod=listed,
        delete_namespaced_pod=lambda name, namespace, **options: removed.append(name),
    )

    operator.execute({"ti": Notes()})

    assert removed == ["left-behind", "failed-and-left-behind"]
    assert asked == [("nightferry", "app.kubernetes.io/managed-by=nightferry,app.kubernetes.io/component=deployer")]
    assert operator.arguments == ["retire", "--namespace", "staging", "--service", "digits", "--service", "letters"]


def test_a_pod_that_could_not_be_deleted_is_found_by_the_next_try() -> None:
    from kubernetes.client import ApiException
    from kubernetes.client import models as k8s

    running = k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(name="mine", namespace="nightferry", labels={"try_number": "1"}),
        spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base")]),
        status=k8s.V1PodStatus(phase="Running"),
    )
    cluster = Mock(spec_set=["read_namespaced_pod", "patch_namespaced_pod", "delete_namespaced_pod"])
    cluster.read_namespaced_pod.return_value = running
    cluster.delete_namespaced_pod.side_effect = ApiException(status=422)
    killed, again = an_operator(), an_operator()
    killed.client = cluster
    again.hook = SimpleNamespace(get_pod=lambda name, namespace: running)

    with pytest.raises(Exception, match="returned a failure"):
        killed.cleanup(running, running)
    context = {"task_state_store": {"pod_identifier": {"name": "mine", "namespace": "nightferry"}}, "ti": Mock()}
    found = again.get_or_create_pod(k8s.V1Pod(metadata=k8s.V1ObjectMeta(namespace="nightferry")), context)

    assert found is running
    cluster.patch_namespaced_pod.assert_not_called()


# How the end of a pod is noticed, through the provider's own operator


class Log:
    """A log that is followed; its connection stays open until the pod has ended."""

    def __init__(self, *lines: str) -> None:
        self._lines = lines

    def stream(self, **options: Any) -> Iterator[bytes]:
        for line in self._lines:
            yield f"2026-11-21T02:00:00Z {line}\n".encode()


class OnePodCluster:
    """As much of the API server as the provider asks about one pod. The pod's states come one after the other."""

    def __init__(self, log: Log, *states: Any) -> None:
        from kubernetes import client

        self.api_client = client.ApiClient()
        self.log, self.states = log, list(states)
        self.created: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.looks = 0

    def _state(self) -> Any:
        self.looks += 1
        assert self.looks < 200, "the provider waits for ever"
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def create_namespaced_pod(self, body: dict[str, Any], namespace: str) -> Any:
        self.created.append(body)
        return self.states[0]

    def list_namespaced_pod(self, namespace: str, label_selector: str) -> Any:
        return SimpleNamespace(items=[self.states[0]] if self.created else [])

    def read_namespaced_pod(self, name: str, namespace: str) -> Any:
        return self._state()

    def read_namespaced_pod_log(self, **options: Any) -> Log:
        return self.log

    def list_namespaced_event(self, **options: Any) -> Any:
        return SimpleNamespace(items=[], metadata=None)

    def delete_namespaced_pod(self, name: str, namespace: str, **options: Any) -> None:
        self.deleted.append(name)


class Task(Notes):
    """The task instance."""

    dag_id, task_id, map_index, try_number = "retire_releases", "retire", -1, 1


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., OnePodCluster]:
    """Run the operator whole, over the cluster that is given; the cluster."""
    monkeypatch.setenv("AIRFLOW_CONN_NIGHTFERRY_CLUSTER", json.dumps(CONNECTIONS["NIGHTFERRY_CLUSTER"]))
    monkeypatch.setenv("NIGHTFERRY_DEPLOYER_IMAGE", "deployer@sha256:" + "2" * 64)
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def watch(cluster: OnePodCluster, recorded: bool = False) -> OnePodCluster:
        operator = an_operator()
        operator.recorded = lambda: recorded
        operator.client = cluster
        operator.hook = SimpleNamespace(is_in_cluster=False, get_pod=lambda name, namespace: None)
        operator._remove_finished_pods = lambda: None
        operator.execute({"ti": Task(), "run_id": "manual", "dag": SimpleNamespace(parent_dag=None)})
        return cluster

    return watch


SAID = (*LAST_WORD.splitlines(), "the log is followed further")


def test_work_that_is_on_record_is_not_awaited_further(watched: Callable[..., OnePodCluster]) -> None:
    """The pod goes on running for as long as one looks: the kubelet has not noticed yet."""
    cluster = watched(OnePodCluster(Log("It is done.", *SAID), a_pod("mine", "Running")), recorded=True)
    assert cluster.deleted == ["mine"]


@pytest.mark.parametrize("late", [0, 3], ids=["at once", "late"])
def test_a_pod_ends_with_its_container(watched: Callable[..., OnePodCluster], late: int) -> None:
    """The cluster goes on calling the pod running for more than a second."""
    running = [a_pod("mine", "Running")] * 3
    cluster = watched(OnePodCluster(Log(*SAID), *running, *running[:late], a_pod("mine", "Running", 0)))
    assert cluster.deleted == ["mine"]


@pytest.mark.parametrize(("code", "kind"), [(2, Permanent), (3, Temporary)])
def test_a_container_that_ends_badly_fails_the_task(
    watched: Callable[..., OnePodCluster], code: int, kind: type[NightferryError]
) -> None:
    cluster = OnePodCluster(Log(*SAID), a_pod("mine", "Running", 0, code))
    with pytest.raises(kind):
        watched(cluster)
    assert cluster.deleted == ["mine"]


@pytest.mark.parametrize("recorded", [True, False], ids=["on record", "not on record"])
def test_a_log_that_breaks_off_is_no_end(watched: Callable[..., OnePodCluster], recorded: bool) -> None:
    """A record of work beside a log that broke off says nothing: the pod may have more to do."""
    running, ended = a_pod("mine", "Running"), a_pod("mine", "Failed", 0, 2)
    cluster = OnePodCluster(Log("Making Deployment digits-20261121-1.", "Still at it."), *[running] * 6, ended)
    with pytest.raises(Permanent):
        watched(cluster, recorded)


def test_where_the_end_is_not_seen_in_time_the_provider_goes_on(
    watched: Callable[..., OnePodCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightferry.operators.pods.quick_end.PATIENCE", 0)
    running, ended = a_pod("mine", "Running"), a_pod("mine", "Succeeded", 0)
    cluster = watched(OnePodCluster(Log(*SAID), *[running] * 40, ended))
    assert cluster.deleted == ["mine"]
    assert cluster.looks > 40


def test_a_deployer_runs_among_the_deployers_and_says_for_whom(
    watched: Callable[..., OnePodCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = a_pod("mine", "Succeeded", 0)
    (made,) = watched(OnePodCluster(Log(*SAID), ended)).created
    assert made["metadata"]["namespace"] == "nightferry"
    assert made["metadata"]["labels"]["nightferry.dev/namespace"] == "staging"

    monkeypatch.setenv("NIGHTFERRY_DEPLOYER_NAMESPACE", "deployers")
    (other,) = watched(OnePodCluster(Log(*SAID), ended)).created
    assert other["metadata"]["namespace"] == "deployers"
    assert other["metadata"]["name"] != made["metadata"]["name"]
