"""The sandbox's gateway: shares of users over kept connections, its names on the machine and in pods, and its kills."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from nightferry import settings as settings_of
from nightferry.clients.kube.cluster import KubeCluster
from nightferry.entities.service_spec import Environment
from nightferry.manifests import names
from nightferry.manifests.route import release_service, route
from nightferry.sandbox import status
from nightferry.sandbox.layout import ADDRESS, Layout, Owner

from tests.e2e.own_names import abandoned, own_name
from tests.fakes.worlds.rollout_world import plan

pytestmark = pytest.mark.sandbox

SERVICE = "digits"
PREFIX = "nf-gateway-"
RELEASES = ("digits-2026-11-21.1", "digits-2026-11-21.2")
SERVE = """
import http.server as h, os
class Answer(h.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = os.environ["RELEASE"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
h.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
FOLLOW_SECONDS = 2.0
"""How soon a kept connection follows a change of shares."""


def eventually(look: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)
    return found


class Scene:
    """Two releases of a service in a namespace of the test's own, and the route that weighs them."""

    def __init__(self) -> None:
        from kubernetes import client, config

        self.settings = settings_of.load()
        self.layout = Layout(root=self.settings.root, home=self.settings.home, owner=Owner.current())
        self.port = self.settings.gateway_port
        self.name = own_name(PREFIX)
        self.host = f"{self.name}.nightferry.test"
        self.local = f"{self.name}.localhost"
        self._api = config.new_client_from_config(str(self.layout.kubeconfig("admin")), persist_config=False)
        self.core = client.CoreV1Api(self._api)
        self.cluster = KubeCluster(self._api, self.name)

    @property
    def environment(self) -> Environment:
        traffic = {"gateway": "users", "host": self.host, "aliases": [self.local]}
        return plan(namespace=self.name, traffic=traffic).environment

    def begin(self) -> None:
        """Make everything, after removing what a killed session left."""
        for namespace in self.core.list_namespace().items:
            if abandoned(namespace.metadata.name, PREFIX):
                self.core.delete_namespace(namespace.metadata.name)
        labels = {"pod-security.kubernetes.io/enforce": "restricted", names.MANAGED_BY: "nightferry"}
        self.core.create_namespace({"metadata": {"name": self.name, "labels": labels}})
        for release in RELEASES:
            made = self.cluster.apply(self._deployment(release))
            self.cluster.apply(release_service(SERVICE, release, made))
        eventually(lambda: all(self._ready(release) for release in RELEASES))
        # The second is known to the gateway before it gets anybody: it would answer 503 for a moment.
        shares = {RELEASES[0]: 100, RELEASES[1]: 0}
        assert self.cluster.create(route(SERVICE, self.environment, shares, {}, None))
        eventually(lambda: self.answered_by() == RELEASES[0])

    def remove(self) -> None:
        self.core.delete_namespace(self.name)

    def weigh(self, *weights: int) -> None:
        found = self.cluster.get("HTTPRoute", SERVICE)
        shares = dict(zip(RELEASES, weights, strict=True))
        self.cluster.apply(route(SERVICE, self.environment, shares, {}, found))

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def ask(self, connection: http.client.HTTPConnection) -> str:
        connection.request("GET", "/", headers={"Host": self.host})
        answer = connection.getresponse()
        body = answer.read().decode()
        assert answer.status == 200, body
        return body

    def answered_by(self) -> str:
        try:
            return self.ask(self.connection())
        except (OSError, http.client.HTTPException, AssertionError):
            return ""

    def container(self, code: str, **more: Any) -> dict[str, Any]:
        image = self.settings.require("DEPLOYER_IMAGE")
        command = ["python3", "-c", code]
        return {"name": "main", "image": image, "command": command, "securityContext": RESTRICTED, **more}

    def _deployment(self, release: str) -> dict[str, Any]:
        labels = names.labels(SERVICE, release)
        container = self.container(
            SERVE,
            env=[{"name": "RELEASE", "value": release}],
            ports=[{"name": "http", "containerPort": 8080}],
            readinessProbe={"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        )
        pod = {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        }
        identity = names.identity(plan(release))
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": names.object_name(release), "labels": labels, "annotations": identity},
            "spec": {
                "selector": {"matchLabels": names.selector(SERVICE, release)},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }

    def _ready(self, release: str) -> bool:
        found = self.cluster.get("Deployment", names.object_name(release)) or {}
        return bool((found.get("status") or {}).get("readyReplicas"))


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    scene = Scene()
    try:
        scene.begin()
        yield scene
    finally:
        scene.remove()


def test_one_kept_connection_gets_both_releases_in_their_shares_and_follows_at_once(scene: Scene) -> None:
    connection = scene.connection()
    scene.weigh(90, 10)
    eventually(lambda: scene.ask(connection) == RELEASES[1])
    kept = connection.sock
    seen = Counter(scene.ask(connection) for _ in range(500))
    assert set(seen) == set(RELEASES)
    assert 15 <= seen[RELEASES[1]] <= 95, seen  # 50, and some seven standard deviations

    scene.weigh(0, 100)
    changed = time.monotonic()
    last_of_before = changed
    while time.monotonic() < changed + 2 * FOLLOW_SECONDS:
        if scene.ask(connection) == RELEASES[0]:
            last_of_before = time.monotonic()
    assert last_of_before < changed + FOLLOW_SECONDS
    assert connection.sock is kept, "the connection was made anew"

    scene.weigh(100, 0)
    eventually(lambda: all(scene.ask(connection) == RELEASES[0] for _ in range(20)))
    connection.close()


def test_plain_clients_of_this_machine_know_the_name_below_localhost(scene: Scene) -> None:
    answer = requests.get(f"http://{scene.local}:{scene.port}/", timeout=10)
    assert (answer.status_code, answer.text) == (200, RELEASES[0])


def test_another_host_is_nobodys(scene: Scene) -> None:
    connection = scene.connection()
    connection.request("GET", "/", headers={"Host": "another.nightferry.test"})
    assert connection.getresponse().status == 404
    connection.close()


def query(name: str, kind: int) -> tuple[int, bytes]:
    """The response code of the sandbox's name server, and the last four bytes of its answer, if it has one."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        header, asked = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0), struct.pack(">BHH", 0, kind, 1)
        udp.sendto(header + labels + asked, (ADDRESS, 53))
        answer = udp.recv(512)
    _, flags, _, answers = struct.unpack(">HHHH", answer[:8])
    return flags & 0xF, answer[-4:] if answers else b""


def test_the_name_server_has_the_gateways_address_for_every_name_of_its_domain(scene: Scene) -> None:
    assert query(scene.host, 1) == (0, socket.inet_aton(ADDRESS))
    assert query("whatever.nightferry.test", 1) == (0, socket.inet_aton(ADDRESS))
    assert query(scene.host, 28) == (0, b"")  # no IPv6, and nobody further is asked


def test_pods_call_the_host_by_its_name(scene: Scene) -> None:
    url = f"http://{scene.host}:{scene.port}/"
    code = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=10).read().decode())"
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [scene.container(code)]}
    scene.core.create_namespaced_pod(scene.name, {"metadata": {"name": "caller"}, "spec": spec})
    eventually(
        lambda: scene.core.read_namespaced_pod("caller", scene.name).status.phase in {"Succeeded", "Failed"}, 120
    )
    log = scene.core.read_namespaced_pod_log("caller", scene.name, _preload_content=False).data
    assert log.decode().strip() == RELEASES[0]


def test_a_route_of_another_namespace_is_not_taken(scene: Scene) -> None:
    """A namespace that is not marked as one of the environments'."""
    stranger = f"{scene.name}-other"
    scene.core.create_namespace({"metadata": {"name": stranger}})
    try:
        cluster = KubeCluster(scene._api, stranger)
        gateway = {"gateway": "users", "host": f"{stranger}.nightferry.test"}
        environment = plan(namespace=stranger, traffic=gateway).environment
        cluster.create(route(SERVICE, environment, {RELEASES[0]: 1}, {}, None))

        def accepted() -> str:
            found = cluster.get("HTTPRoute", SERVICE) or {}
            conditions = [
                one
                for parent in (found.get("status") or {}).get("parents") or []
                for one in parent["conditions"]
                if one["type"] == "Accepted"
            ]
            return str(conditions[0]["status"]) if conditions else ""

        assert eventually(accepted) == "False"
    finally:
        scene.core.delete_namespace(stranger)


@pytest.mark.alone
@pytest.mark.parametrize("name", ["contour", "envoy"])
def test_a_killed_gateway_comes_back_with_its_shares(scene: Scene, name: str) -> None:
    def part() -> status.PartStatus:
        return next(one for one in status.status(scene.layout).parts if one.name == name)

    before = part().pid
    assert before
    os.kill(before, signal.SIGKILL)
    if name == "contour":  # users do not notice: Envoy goes on with what it knows
        assert scene.answered_by() == RELEASES[0]
    eventually(lambda: part().pid not in {before, None} and part().healthy, 90)
    eventually(lambda: scene.answered_by() == RELEASES[0])
