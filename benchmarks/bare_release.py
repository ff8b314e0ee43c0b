"""The work of one release as bare commands: buildctl, docker, plain calls to the cluster. No decision, no record."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightferry.clients import connect
from nightferry.clients.buildkit.builder import build_words
from nightferry.clients.buildkit.secrets import build_secrets
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import STOCK, STOCK_TESTS, Environment
from nightferry.manifests import names, policies
from nightferry.manifests import service as services
from nightferry.manifests.deployment import deployment

if TYPE_CHECKING:
    from benchmarks.bench_service import BenchService

ROOT = Path(__file__).resolve().parents[1]
NAME = "bench-bare"


class BareRelease:
    """One release by hand."""

    def __init__(self, bench: BenchService, version: str) -> None:
        from kubernetes import client, config, dynamic

        self.settings = bench.settings
        self.spec = bench.spec
        self.version = version
        self.folder = bench.folder / f"bare-{version}"
        self.folder.mkdir()
        self.steps: dict[str, float] = {}
        self.cluster = dynamic.DynamicClient(
            config.new_client_from_config(str(self.settings.home / "kubernetes" / "admin.kubeconfig"))
        )
        self.core = client.CoreV1Api(self.cluster.client)

    def run(self) -> tuple[float, dict[str, float]]:
        """Do it; the seconds it took, and these by step."""
        start = time.monotonic()
        self._timed("fetch_model", self._fetch)
        self._timed("build_image", self._build)
        self._timed("test_image", self._test)
        self._timed("publish_image", self._publish)
        for environment in self.spec.environments:
            self._timed(f"{environment.name}.roll_out", partial(self._roll_out, environment))
            self._timed(f"{environment.name}.verify", partial(self._ask, NAME, environment.namespace))
        return time.monotonic() - start, self.steps

    def _timed(self, name: str, work: Callable[[], Any]) -> None:
        start = time.monotonic()
        work()
        self.steps[name] = round(time.monotonic() - start, 1)

    def _fetch(self) -> None:
        container = connect.storage(self.settings).get_container_client(self.spec.model.container)
        prefix = f"{self.spec.model.prefix}/{self.version}/"
        for name in container.list_blob_names(name_starts_with=prefix):
            target = self.folder / "model" / name.removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                container.download_blob(name).readinto(file)
        for context, path in (("app", STOCK), ("tests", STOCK_TESTS)):
            (self.folder / context).mkdir()
            archive = subprocess.run(
                ["git", "-C", str(ROOT), "-c", "tar.umask=0022", "archive", f"HEAD:{path}"],
                capture_output=True,
                check=True,
            ).stdout
            subprocess.run(["tar", "-x", "-C", str(self.folder / context)], input=archive, check=True)

    def _build(self) -> None:
        self._buildctl("test", ("app", "tests"))
        self._push(f"{NAME}-candidates")

    def _push(self, repository: str) -> None:
        name = f"{self.settings.require('REGISTRY')}/{repository}"
        self.image = f"{name}@{self._buildctl('serving', ('app', 'tests', 'model'), f'{name}:{self.version}')}"

    def _publish(self) -> None:
        """What `crane copy` does: the manifest under another name, the layers mounted."""
        released = f"{self.settings.require('REGISTRY')}/{NAME}"
        image = ImageRef.parse(self.image)
        self.image = str(connect.registry(self.settings).copy(image, released, (self.version,)))

    def _buildctl(self, target: str, contexts: tuple[str, ...], *push: str) -> str:
        metadata = self.folder / "metadata.json"
        request = BuildRequest(
            ROOT / "docker/serving/Dockerfile",
            target,
            {name: self.folder / name for name in contexts},
            {"BASE_IMAGE": self.settings.require("BASE_IMAGE")},
            push=push,
        )
        with ExitStack() as stack:
            secrets = stack.enter_context(build_secrets())
            command = [self.settings.require("BUILDCTL"), "--addr", self.settings.require("BUILDKIT"), "build"]
            self._run(*command, *build_words(request, metadata), *secrets)
        return str(json.loads(metadata.read_text())["containerimage.digest"]) if push else ""

    def _test(self) -> None:
        docker = ["docker", "-H", self.settings.require("DOCKER_HOST")]
        hardened = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=1g"]
        self._run(*docker, "run", "-d", "--name", NAME, "--network=none", *hardened, self.image)
        try:
            mount = f"type=bind,source={self.folder / 'model'},target=/model,readonly"
            prober = ["run", "--rm", f"--network=container:{NAME}", "--mount", mount]
            self._run(*docker, *prober, self.settings.require("DEPLOYER_IMAGE"), "probe", "--model", "/model")
        finally:
            self._run(*docker, "rm", "-f", NAME)

    def _roll_out(self, environment: Environment) -> None:
        plan = self._plan(environment)
        namespace = environment.namespace
        made = self._apply(self._deployment(plan), namespace)
        self._apply(policies.network_policy(plan.service), namespace)
        self._apply(policies.disruption_budget(made), namespace)
        self._apply(services.candidate(plan.service, names.identity(plan)), namespace)
        kind = self.cluster.resources.get(api_version="apps/v1", kind="Deployment")
        wanted = environment.replicas
        _wait(lambda: (kind.get(made["metadata"]["name"], environment.namespace).status.readyReplicas or 0) >= wanted)
        self._ask(services.candidate_name(NAME), environment.namespace)
        found = self.core.list_namespaced_service(namespace, field_selector=f"metadata.name={NAME}").items
        current = self._apply(services.unused(NAME), namespace) if not found else found[0].to_dict()
        version = current["metadata"].get("resourceVersion") or current["metadata"]["resource_version"]
        known = {"metadata": {"uid": current["metadata"]["uid"], "resourceVersion": version}}
        identity = names.identity(plan)
        self._apply(services.stable(NAME, identity, plan.environment, notes={}, found=known), namespace)
        for old in kind.get(namespace=environment.namespace, label_selector=f"app.kubernetes.io/name={NAME}").items:
            if old.metadata.name != made["metadata"]["name"]:
                kind.delete(old.metadata.name, environment.namespace)

    def _deployment(self, plan: RolloutPlan) -> dict[str, Any]:
        """The same Deployment; its pods run the measured service's model, and refuse to be called otherwise."""
        made = deployment(plan)
        for variable in made["spec"]["template"]["spec"]["containers"][0]["env"]:
            if variable["name"] == "NIGHTFERRY_SERVICE":
                variable["value"] = self.spec.service
        return made

    def _ask(self, service: str, namespace: str) -> None:
        """The golden examples, as a client of today would ask them."""
        import base64

        address = f"http://{self.core.read_namespaced_service(service, namespace).spec.cluster_ip}"
        _wait(lambda: _version(address) == self.version)
        manifest = json.loads((self.folder / "model" / "model.json").read_text())
        for example in manifest["golden"]:
            picture = base64.b64encode((self.folder / "model" / example["image"]).read_bytes()).decode()
            body = json.dumps({"input": json.dumps([picture])}).encode()
            request = urllib.request.Request(f"{address}/score", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=5) as answer:
                assert json.load(answer)["result"][0][0][0][0] == example["label"]

    def _plan(self, environment: Environment) -> RolloutPlan:
        models = connect.models(self.settings, self.spec.model)
        pinned: PinnedModel = models.pin(self.version)[0]
        now = time.gmtime()
        number = now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec + 1
        release = str(ReleaseId.parse(f"{NAME}-{time.strftime('%Y-%m-%d', now)}.{number}"))
        return RolloutPlan(
            service=NAME,
            release=release,
            order=1,
            image=self.image,
            model=pinned,
            model_repository=self.spec.model.repository,
            source="0" * 40,
            actor="benchmarks",
            app=None,
            environment=environment.model_copy(update={"service_type": "NodePort"}),
        )

    def _apply(self, manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
        kind = self.cluster.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        done = kind.server_side_apply(
            manifest, name=manifest["metadata"]["name"], namespace=namespace, field_manager="bare", force_conflicts=True
        )
        return dict(done.to_dict())

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr[-2000:]}")


def _version(address: str) -> str | None:
    try:
        with urllib.request.urlopen(f"{address}/version", timeout=2) as answer:
            return str(json.load(answer)["model"]["version"])
    except OSError:
        return None


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit("the bare release was not ready within 120 s")
        time.sleep(0.1)
