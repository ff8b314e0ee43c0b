"""What a cluster's API server may answer, over real HTTP, and what is made of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration
from nightferry import settings
from nightferry.clients.doors.cluster import ClusterAway, ClusterConflict, QuotaExceeded
from nightferry.clients.kube.cluster import KubeCluster
from nightferry.clients.kube.connection import open_cluster
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

POD = {"kind": "Pod", "metadata": {"name": "web"}}


class ApiServer:
    """Answers every request with `status` and `message`, and keeps the requests."""

    def __init__(self) -> None:
        self.status, self.document = 200, {"kind": "Pod"}
        self.headers: dict[str, str] = {}
        self.text: bytes | None = None
        self.requests: list[tuple[str, str, str, Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                sent = json.loads(body) if body else None
                server.requests.append((self.command, self.path, self.headers.get("Content-Type", ""), sent))
                content = server.text or json.dumps(server.document).encode()
                self.send_response(server.status)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def says(self, status: int, message: str = "", reason: str = "") -> None:
        self.status, self.document = status, {"kind": "Status", "message": message, "reason": reason}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def cluster(server: ApiServer) -> KubeCluster:
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{server.http.server_port}"
    configuration.retries = False
    return KubeCluster(ApiClient(configuration), "staging")


@pytest.mark.parametrize(
    ("status", "message", "kind", "reason"),
    [
        (401, "Unauthorized", Permanent, Reason.CLUSTER_DENIED),
        (403, 'pods is forbidden: User "x" cannot list', Permanent, Reason.CLUSTER_DENIED),
        (403, 'pods "web" is forbidden: exceeded quota: tight', QuotaExceeded, Reason.ROLLOUT_REFUSED),
        (403, 'pods "web" is forbidden: status unknown for quota: tight', Temporary, Reason.ROLLOUT_REFUSED),
        (403, 'pods "web" is forbidden: violates PodSecurity "restricted:latest"', Permanent, Reason.ROLLOUT_REFUSED),
        (403, 'admission webhook "x" denied the request: no', Permanent, Reason.ROLLOUT_REFUSED),
        (500, 'admission webhook "x" denied the request: no', Permanent, Reason.ROLLOUT_REFUSED),
        (403, 'pods "web" is forbidden: User "x" cannot get resource "pods"', Permanent, Reason.CLUSTER_DENIED),
        (404, 'namespaces "staging" not found', Permanent, Reason.ROLLOUT_REFUSED),
        (
            500,
            'Internal error occurred: failed calling webhook "x": Post "https://x": context deadline exceeded',
            ClusterAway,
            Reason.CLUSTER_UNAVAILABLE,
        ),
        (422, "spec.ports: Required value", Permanent, Reason.ROLLOUT_REFUSED),
        (400, "cannot be handled", Permanent, Reason.ROLLOUT_REFUSED),
        (409, "the object has been modified", ClusterConflict, Reason.CLUSTER_UNAVAILABLE),
        (429, "too many requests", ClusterAway, Reason.CLUSTER_UNAVAILABLE),
        (500, "etcdserver: request timed out", ClusterAway, Reason.CLUSTER_UNAVAILABLE),
        (503, "no endpoints", ClusterAway, Reason.CLUSTER_UNAVAILABLE),
    ],
)
def test_what_the_server_refuses(
    server: ApiServer, cluster: KubeCluster, status: int, message: str, kind: type[NightferryError], reason: Reason
) -> None:
    server.says(status, message)
    with pytest.raises(kind) as caught:
        cluster.apply(POD)
    assert caught.value.reason == reason
    assert message in caught.value.sentence


def test_a_conflict_of_the_quota_does_not_mean_that_the_name_is_taken(server: ApiServer, cluster: KubeCluster) -> None:
    server.says(409, "Operation cannot be fulfilled on resourcequotas: the object has been modified", "Conflict")
    with pytest.raises(ClusterConflict):
        cluster.create(POD)
    server.says(409, 'pods "web" already exists', "AlreadyExists")
    assert cluster.create(POD) is None


def test_a_namespace_that_is_missing_is_no_name_that_is_taken(server: ApiServer, cluster: KubeCluster) -> None:
    server.says(404, 'namespaces "staging" not found', "NotFound")
    with pytest.raises(Permanent) as caught:
        cluster.create(POD)
    assert caught.value.reason == Reason.ROLLOUT_REFUSED


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), ("0", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), (None, 0)])
def test_how_long_the_server_wants_to_be_left_alone(
    server: ApiServer, cluster: KubeCluster, said: str | None, seconds: float
) -> None:
    server.says(429, "too many requests")
    server.headers = {"Retry-After": said} if said else {}
    with pytest.raises(ClusterAway) as caught:
        cluster.get("Pod", "web")
    assert caught.value.retry_after == seconds


def test_a_page_of_a_proxy_is_no_answer(server: ApiServer, cluster: KubeCluster) -> None:
    server.text = b"<html>starting</html>"
    with pytest.raises(ClusterAway):
        cluster.get("Pod", "web")


def test_no_request_is_made_to_learn_the_kinds(server: ApiServer, cluster: KubeCluster) -> None:
    cluster.get("HorizontalPodAutoscaler", "web")
    ((_, path, _, _),) = server.requests
    assert path == "/apis/autoscaling/v2/namespaces/staging/horizontalpodautoscalers/web"


def test_an_answer_that_is_no_json_is_told_as_it_is(server: ApiServer, cluster: KubeCluster) -> None:
    server.status, server.document = 502, "Bad Gateway"  # type: ignore[assignment]
    with pytest.raises(Temporary) as caught:
        cluster.get("Pod", "web")
    assert "Bad Gateway" in caught.value.sentence


def test_what_is_not_there(server: ApiServer, cluster: KubeCluster) -> None:
    server.says(404, "not found")
    assert cluster.get("Pod", "web") is None
    assert cluster.patch("Pod", "web", {}) is None
    assert cluster.delete("Pod", "web") is False
    assert cluster.last_words("web") == ""


def test_a_route_that_is_not_there(server: ApiServer, cluster: KubeCluster) -> None:
    server.says(404, 'httproutes.gateway.networking.k8s.io "web" not found', "NotFound")
    assert cluster.get("HTTPRoute", "web") is None
    assert cluster.patch("HTTPRoute", "web", {}) is None
    assert cluster.delete("HTTPRoute", "web") is False
    ((_, path, _, _), *_) = server.requests
    assert path == "/apis/gateway.networking.k8s.io/v1/namespaces/staging/httproutes/web"


ROUTE = {"kind": "HTTPRoute", "metadata": {"name": "web"}}


@pytest.mark.parametrize(
    "call",
    [
        lambda cluster: cluster.get("HTTPRoute", "web"),
        lambda cluster: cluster.list("HTTPRoute"),
        lambda cluster: cluster.create(ROUTE),
        lambda cluster: cluster.apply(ROUTE),
        lambda cluster: cluster.patch("HTTPRoute", "web", {}),
        lambda cluster: cluster.delete("HTTPRoute", "web"),
    ],
    ids=["get", "list", "create", "apply", "patch", "delete"],
)
def test_a_cluster_without_the_gateway_api_is_no_route_that_is_missing(
    server: ApiServer, cluster: KubeCluster, call: Callable[[KubeCluster], object]
) -> None:
    """A server has no page for a kind that it does not know."""
    server.status, server.text = 404, b"404 page not found\n"
    with pytest.raises(Permanent) as caught:
        call(cluster)
    assert caught.value.reason == Reason.GATEWAY_MISSING
    assert "Gateway API" in caught.value.sentence


def test_a_server_that_is_not_there(server: ApiServer, cluster: KubeCluster) -> None:
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(Temporary) as caught:
        cluster.get("Pod", "web")
    assert caught.value.reason == Reason.CLUSTER_UNAVAILABLE


def test_apply_is_a_server_side_apply(server: ApiServer, cluster: KubeCluster) -> None:
    cluster.apply(POD)
    ((method, path, content_type, sent),) = server.requests
    assert (method, content_type, sent) == ("PATCH", "application/apply-patch+yaml", POD)
    assert path == "/api/v1/namespaces/staging/pods/web?fieldManager=nightferry&force=true"


def test_a_deletion_names_the_state_that_it_is_about(server: ApiServer, cluster: KubeCluster) -> None:
    cluster.delete("Deployment", "web", "7")
    ((method, path, _, sent),) = server.requests
    assert (method, path) == ("DELETE", "/apis/apps/v1/namespaces/staging/deployments/web")
    assert sent["preconditions"] == {"resourceVersion": "7"}
    assert sent["propagationPolicy"] == "Background"


def test_a_list_is_narrowed_by_the_server(server: ApiServer, cluster: KubeCluster) -> None:
    server.document = {"items": [{"metadata": {"name": "web"}}]}  # type: ignore[dict-item]
    found = cluster.list("Pod", {"a": "1", "b": "2"}, {"status.phase": "Running"})
    assert found == [{"kind": "Pod", "metadata": {"name": "web"}}]
    ((_, path, _, _),) = server.requests
    assert "labelSelector=a%3D1%2Cb%3D2" in path
    assert "fieldSelector=status.phase%3DRunning" in path


def test_an_ambient_kubeconfig_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "production"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    (tmp_path / "production").write_text("{}")
    with pytest.raises(Permanent) as caught:
        open_cluster(settings.Settings(tmp_path, tmp_path, {}), "staging")
    assert caught.value.reason == Reason.SETTING_MISSING


@pytest.mark.parametrize("content", [None, "", "{}", "not: [yaml"])
def test_a_kubeconfig_that_is_none(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_text(content)
    with pytest.raises(Permanent) as caught:
        open_cluster(settings.Settings(tmp_path, tmp_path, {"NIGHTFERRY_KUBECONFIG": str(file)}), "staging")
    assert caught.value.reason == Reason.CLUSTER_DENIED
    assert str(file) in caught.value.sentence
