"""Two releases behind the sandbox's gateway, one slower and failing: what its users meet is read at its pods and at the
gateway, and judged."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from nightferry import settings as settings_of
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.service_figures import ServiceFigures
from nightferry.clients.figures.gateway import GatewayFigures
from nightferry.clients.kube.cluster import KubeCluster
from nightferry.entities.judging.service_figures import FigureLimits, Snapshot, window
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.manifests import names
from nightferry.manifests.route import release_service, route
from nightferry.steps.judging.figures.figures_of import figures_of
from nightferry.steps.judging.figures.judge_figures import judge_figures

from serving_app.runtime import metrics as counted
from serving_app.runtime import usage
from tests.e2e.own_names import abandoned, own_name
from tests.fakes.worlds.rollout_world import plan

pytestmark = pytest.mark.sandbox

PREFIX = "nf-figures-"
IN_USE, CANDIDATE = "digits-2026-11-21.1", "digits-2026-11-21.2"
SHARES = {IN_USE: 50, CANDIDATE: 50}
REQUESTS, AT_ONCE = 520, 16
SERVE = """
import http.server as h, os, sys, threading, time, types
sys.modules["serving_app"] = types.ModuleType("serving_app")
runtime = sys.modules["serving_app.runtime"] = types.ModuleType("runtime")
runtime.usage, counted = types.ModuleType("usage"), types.ModuleType("counted")
exec(os.environ["USAGE"], runtime.usage.__dict__)
exec(os.environ["COUNTED"], counted.__dict__)
metrics = counted.Metrics(1)
[row] = metrics.rows
row.room(16)
seconds, fails = float(os.environ["SECONDS"]), int(os.environ["FAILS"])
class Answer(h.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count = 0
    def do_GET(self):
        if self.server.server_port == 8081:
            return self.say(200, metrics.text() if self.path == "/metrics" else b"ok")
        start = time.perf_counter()
        time.sleep(seconds)
        Answer.count += 1
        status = 500 if fails and Answer.count % fails == 0 else 200
        taken = time.perf_counter() - start
        row.request("/score", str(status), taken)
        row.worked(taken)
        self.say(status, os.environ["RELEASE"].encode())
    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
threading.Thread(target=h.ThreadingHTTPServer(("", 8081), Answer).serve_forever, daemon=True).start()
h.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
"""A service that counts with the stock service's own code."""
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Scene:
    """The releases, in a namespace of the test's own."""

    def __init__(self) -> None:
        from kubernetes import client, config

        self.settings = settings_of.load()
        self.name = own_name(PREFIX)
        self.host = f"{self.name}.nightferry.test"
        file = self.settings.home / "kubernetes" / "admin.kubeconfig"
        self._api = config.new_client_from_config(str(file), persist_config=False)
        self.core = client.CoreV1Api(self._api)
        self.cluster = KubeCluster(self._api, self.name)
        self.plan: RolloutPlan = plan(CANDIDATE, namespace=self.name, traffic={"gateway": "users", "host": self.host})

    def begin(self) -> None:
        """Make everything, after removing what a killed session left."""
        for namespace in self.core.list_namespace().items:
            if abandoned(namespace.metadata.name, PREFIX):
                self.core.delete_namespace(namespace.metadata.name)
        labels = {"pod-security.kubernetes.io/enforce": "restricted", names.MANAGED_BY: "nightferry"}
        self.core.create_namespace({"metadata": {"name": self.name, "labels": labels}})
        for release, seconds, fails in ((IN_USE, 0.1, 0), (CANDIDATE, 0.3, 5)):
            made = self.cluster.apply(self._deployment(release, seconds, fails))
            self.cluster.apply(release_service("digits", release, made))
        self._await(lambda: all(self._ready(release) for release in SHARES))
        assert self.cluster.create(route("digits", self.plan.environment, SHARES, {}, None))
        seen: set[str] = set()

        def both() -> bool:
            seen.add(self.ask())
            return set(SHARES) <= seen

        self._await(both)

    def remove(self) -> None:
        self.core.delete_namespace(self.name)

    def ask(self) -> str:
        """Which release answers; empty: none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.gateway_port, timeout=30)
        try:
            connection.request("GET", "/score", headers={"Host": self.host})
            body = connection.getresponse().read().decode()
            return body if body in SHARES else ""
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def load(self) -> list[str]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda _: self.ask(), range(REQUESTS)))

    def sources(self) -> dict[str, ServiceFigures]:
        """Those that the sandbox has: the pods' port, and Envoy's figures."""
        pods = figures_of(self.plan, self.settings, self.cluster)
        assert pods
        gateway = GatewayFigures(self.settings.require("GATEWAY_METRICS"), self.name, SystemClock())
        return {"pods": pods, "gateway": gateway}

    def _deployment(self, release: str, seconds: float, fails: int) -> dict[str, Any]:
        sources = {"COUNTED": _source(counted), "USAGE": _source(usage)}
        told = {"RELEASE": release, "SECONDS": str(seconds), "FAILS": str(fails), **sources}
        container = {
            "name": "service",
            "image": self.settings.require("DEPLOYER_IMAGE"),
            "command": ["python3", "-c", SERVE],
            "env": [{"name": name, "value": value} for name, value in told.items()],
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "status", "containerPort": 8081}],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "status"}, "periodSeconds": 1},
            "securityContext": RESTRICTED,
        }
        labels = names.labels("digits", release)
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": names.object_name(release),
                "labels": labels,
                "annotations": names.identity(plan(release)),
            },
            "spec": {
                "selector": {"matchLabels": names.selector("digits", release)},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "automountServiceAccountToken": False,
                        "terminationGracePeriodSeconds": 1,
                        "containers": [container],
                    },
                },
            },
        }

    def _ready(self, release: str) -> bool:
        found = self.cluster.get("Deployment", names.object_name(release)) or {}
        return bool((found.get("status") or {}).get("readyReplicas"))

    def _await(self, condition: Any) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.05)


def _source(module: ModuleType) -> str:
    return Path(str(module.__file__)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    scene = Scene()
    try:
        scene.begin()
        yield scene
    finally:
        scene.remove()


def test_a_slower_failing_candidate_is_seen_by_its_pods_and_by_the_gateway(scene: Scene) -> None:
    sources = scene.sources()
    befores = {(name, release): read(one, release) for name, one in sources.items() for release in SHARES}
    answers = scene.load()
    for name, one in sources.items():
        windows = {}
        for release in SHARES:
            deadline = time.monotonic() + 20
            while True:
                windows[release] = window(befores[name, release], read(one, release))
                # Envoy adds to its histogram every five seconds; the stock service times no failures.
                if windows[release].timed >= 0.79 * answers.count(release) or time.monotonic() > deadline:
                    break
                time.sleep(0.2)
            assert windows[release].requests == answers.count(release), name
        assert windows[IN_USE].errors == 0
        assert windows[CANDIDATE].error_rate == pytest.approx(0.2, abs=0.02), name
        found = judge_figures(windows[CANDIDATE], windows[IN_USE], FigureLimits())
        assert found.verdict == "wrong", (name, found)
        assert "failed" in found.sentence
        assert "took up to" in found.sentence
        # On a machine with too much to do its times may spread too far to say that it is right.
        assert judge_figures(windows[IN_USE], windows[IN_USE], FigureLimits()).verdict != "wrong", name


def read(source: ServiceFigures, release: str) -> Snapshot:
    found = source.read(release)
    assert found is not None
    return found
