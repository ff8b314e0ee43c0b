"""What a deployer pod that did not end well means, and what becomes of pods that were left behind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from nightferry.entities.deployer_end import LAST_WORD
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.operators.pods.quick_pods import QuickPodManager
from nightferry.operators.pods.retire import RetireOperator

from tests.dags.world import CONNECTIONS


def an_operator() -> RetireOperator:
    return RetireOperator(
        task_id="retire", cluster="nightferry_cluster", namespace="staging", services=["digits", "letters"]
    )


def a_pod(name: str, phase: str, minutes_ago: float | None = None, code: int = 0) -> Any:
    """A pod of one container, which ended so long ago."""
    ended = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes_ago) if minutes_ago is not None else None
    terminated = SimpleNamespace(exit_code=code, finished_at=ended) if ended else None
    state = SimpleNamespace(terminated=terminated, running=None if ended else SimpleNamespace(), waiting=None)
    containers = [SimpleNamespace(name="base", state=state)]
    status = SimpleNamespace(phase=phase, container_statuses=containers, init_container_statuses=None)
    return SimpleNamespace(status=status, metadata=SimpleNamespace(name=name, namespace="staging"))


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the provider's operator raises, one for each time that it runs."""
    import json

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

    provider.append(ApiException(status=status, reason="No"))

    error, note = run(an_operator())

    assert isinstance(error, Temporary)
    assert (error.reason, note["reason"]) == (reason, reason)
    assert "staging" in error.sentence


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
    assert asked == [("staging", "app.kubernetes.io/managed-by=nightferry,app.kubernetes.io/component=deployer")]
    assert operator.arguments == ["retire", "--namespace", "staging", "--service", "digits", "--service", "letters"]


def test_a_pod_that_could_not_be_deleted_is_found_by_the_next_try() -> None:
    from kubernetes.client import ApiException
    from kubernetes.client import models as k8s

    running = k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(name="mine", namespace="staging", labels={"try_number": "1"}),
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
    context = {"task_state_store": {"pod_identifier": {"name": "mine", "namespace": "staging"}}, "ti": Mock()}
    found = again.get_or_create_pod(k8s.V1Pod(metadata=k8s.V1ObjectMeta(namespace="staging")), context)

    assert found is running
    cluster.patch_namespaced_pod.assert_not_called()


def a_manager(recorded: bool = False) -> QuickPodManager:
    """The manager of a pod whose work is on the record, or not."""
    return QuickPodManager(kube_client=SimpleNamespace(), recorded=lambda: recorded)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> QuickPodManager:
    """The manager of a pod of which the cluster says only at the third look that it has ended."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    looks = [a_pod("mine", "Running"), a_pod("mine", "Running"), a_pod("mine", "Succeeded", 0)]
    monkeypatch.setattr(QuickPodManager, "read_pod", lambda self, pod: looks.pop(0) if len(looks) > 1 else looks[0])
    return a_manager()


def test_a_pod_that_ends_late_is_awaited(late: QuickPodManager) -> None:
    assert late.await_pod_completion(a_pod("mine", "Running")).status.phase == "Succeeded"


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (2, "Failed")])
def test_a_pod_ends_with_its_container(monkeypatch: pytest.MonkeyPatch, code: int, phase: str) -> None:
    """The cluster goes on calling the pod running for more than a second."""
    monkeypatch.setattr(QuickPodManager, "read_pod", lambda self, pod: a_pod("mine", "Running", 0, code))
    ended = a_manager().await_pod_completion(a_pod("mine", "Running"))
    assert ended.status.phase == phase


def test_a_container_that_ends_late_does_not_count_as_running(late: QuickPodManager) -> None:
    assert late.container_is_running(a_pod("mine", "Running"), "base") is False


def test_a_container_that_goes_on_counts_as_running(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(100))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    monkeypatch.setattr(QuickPodManager, "read_pod", lambda self, pod: a_pod("mine", "Running"))

    assert a_manager().container_is_running(a_pod("mine", "Running"), "base") is True


class Log:
    """A log whose connection the cluster would keep open for another second."""

    def __init__(self, *lines: str) -> None:
        self.lines = [f"2026-11-21T02:00:00Z {line}\n".encode() for line in lines]
        self.response = Mock()

    def __iter__(self) -> Iterator[bytes]:
        yield from self.lines
        if not self.response.close.called:
            self.lines.append(b"followed further")
            yield self.lines[-1]


def test_a_log_is_followed_to_the_deployers_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log("It is done.", LAST_WORD)
    monkeypatch.setattr(PodManager, "read_pod_logs", lambda self, *arguments, **options: log)
    assert list(a_manager().read_pod_logs(a_pod("mine", "Running"), "base")) == log.lines
    assert len(log.lines) == 2
    log.response.close.assert_called_once()


@pytest.mark.parametrize("said", [LAST_WORD, "Making Deployment digits-20261121-1."], ids=["ends", "goes on"])
@pytest.mark.parametrize("recorded", [True, False], ids=["on record", "not on record"])
def test_work_that_is_on_record_is_not_awaited_further(
    monkeypatch: pytest.MonkeyPatch, said: str, recorded: bool
) -> None:
    """A record of work beside a log that broke off is no end: the pod may have more to do."""
    times = iter(range(100))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    monkeypatch.setattr(PodManager, "read_pod_logs", lambda self, *arguments, **options: Log(said))
    pods = [a_pod("mine", "Running")]
    monkeypatch.setattr(QuickPodManager, "read_pod", lambda self, pod: pods[0])
    manager = a_manager(recorded)
    list(manager.read_pod_logs(pods[0], "base"))

    done = recorded and said == LAST_WORD
    assert manager.container_is_running(pods[0], "base") is not done
    if not done:
        pods[0] = a_pod("mine", "Running", 0, 2)
    assert manager.await_pod_completion(pods[0]).status.phase == ("Succeeded" if done else "Failed")
