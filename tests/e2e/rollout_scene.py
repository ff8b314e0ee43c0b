"""A scratch namespace under Pod Security `restricted`, where the deployer works with its own rights alone."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from nightferry import settings as settings_of
from nightferry.clients import connect
from nightferry.clients.azure.ledger import NOTES, AzureLedger
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.clients.kube.cluster import KubeCluster
from nightferry.entities.candidate import Candidate, PinnedSource
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import ModelSource, ServiceSpec
from nightferry.entities.state.traffic import Traffic
from nightferry.errors import NightferryError
from nightferry.manifests import names
from nightferry.steps.deciding.decide import weigh
from nightferry.steps.deciding.pin import Pinned
from nightferry.steps.model.publish_model import publish_model
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain, append
from nightferry.steps.record.record import record_release, record_step
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.services.service_address import service_address

from tests.e2e.own_names import abandoned, own_name
from tests.e2e.refusing_storage import refusing_storage

ROOT = Path(__file__).resolve().parents[2]
SERVICE = "digits"
PREFIX = "nf-rollout-"
ANOTHER = "f" * 40
FAULTY = """\
ARG GOOD
FROM ${GOOD} AS crashing
ENTRYPOINT ["python3", "-c", "raise SystemExit('model.onnx cannot be opened: it has the opset 99')"]
FROM ${GOOD} AS sleeping
ENTRYPOINT ["python3", "-c", "print('loading the model', flush=True); import time; time.sleep(3600)"]
"""


class RolloutScene:
    """Images, a model, a namespace and a ledger of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = settings_of.load()
        self.name = own_name(PREFIX)
        self._images: list[str] = []
        self.running: list[subprocess.Popen[str]] = []
        """Commands that were started and are not awaited yet."""
        self._numbers = itertools.count(100)
        self._storage = connect.storage(self.settings)
        self._api = self._admin()
        self.cluster = KubeCluster(self._api, self.name)
        self.ledger = AzureLedger(self._storage, f"{self.name}-ledger")

    def begin(self) -> None:
        """Make everything, after removing what a killed session left."""
        self.remove()
        for container in (f"{self.name}-ledger", f"{self.name}-ledger{NOTES}"):
            self._storage.create_container(container)
        self.model = self._publish_model()
        self.image = self._build_image(self.folder / "model")
        self.crashing, self.sleeping = (self._build_faulty(target) for target in ("crashing", "sleeping"))
        self._make_namespace()

    def remove(self) -> None:
        """Remove everything, and what scenes of ended processes left."""
        import requests
        from kubernetes import client

        core = client.CoreV1Api(self._api)
        for namespace in core.list_namespace().items:
            if self._to_remove(namespace.metadata.name) and namespace.status.phase == "Active":
                core.delete_namespace(namespace.metadata.name)
        for container in self._storage.list_containers(name_starts_with=PREFIX):
            if self._to_remove(container.name):
                self._storage.delete_container(container.name)
        for image in self._images:
            host, name, digest = image.replace("@", "/").rsplit("/", 2)
            requests.delete(f"http://{host}/v2/{name}/manifests/{digest}", timeout=10)

    def _to_remove(self, name: str) -> bool:
        return name.startswith(self.name) or abandoned(name, PREFIX)

    # The deployer

    def plan(
        self,
        image: str | None = None,
        name: str = "staging",
        gates: dict[str, str] | None = None,
        model: PinnedModel | None = None,
        **environment: Any,
    ) -> RolloutPlan:
        """Decide on the next release, as `decide` writes it down, and publish its image; its plan in an environment.

        Staging and production of a scene share its namespace, and so the Service that users call.
        """
        given = {"namespace": self.name, "service_type": "NodePort", "ready_seconds": 60, "replicas": 1} | environment
        decision = self._decision([{"name": name, **given}], name, gates or {}, model or self.model)
        clock, data = SystemClock(), decision.to_json()
        words: dict[str, Any] = {"reason": decision.reason, "sentence": decision.sentence, "data": data}
        facts: dict[str, Any] = {
            "actor": "test",
            "kind": Kind.DECISION,
            "key": decision.key,
            "release": decision.release,
        }
        append(self.ledger, clock, service=SERVICE, **facts, **words)
        published = {"image": image or self.image}
        record_step(self.ledger, clock, decision, "publish_image", sentence="Published.", data=published)
        return read_plan(release_entries(self.ledger, str(decision.release)), name)

    def _decision(
        self, environments: list[dict[str, Any]], name: str, gates: dict[str, str], model: PinnedModel
    ) -> Decision:
        release = f"{SERVICE}-2026-11-21.{next(self._numbers)}"
        if name == "staging":
            environments = [*environments, {**environments[0], "name": "production", "namespace": f"{self.name}-2"}]
        spec = {
            "service": SERVICE,
            "owner": "tests",
            "model": {"repository": f"azure-blob://{self.name}-models/{SERVICE}"},
            "image": {"repository": self.image.partition("@")[0]},
            "gates": gates,
            "environments": environments,
        }
        source = PinnedSource(repository=".", ref="main", commit="c" * 40, tree="d" * 40, path="serving_app")
        base = self.settings.require("BASE_IMAGE")
        return Decision(
            key=f"run:{release}",
            service=SERVICE,
            go=True,
            reason=Reason.FORCED,
            sentence="For the tests.",
            actor="test",
            release=release,
            candidate=Candidate(service=SERVICE, model=model, source=source, base_image=base, recipe="e" * 64),
            request=ReleaseRequest(),
            spec=ServiceSpec.model_validate(spec).to_json(),
        )

    def with_swapped_labels(self, one: str, other: str) -> tuple[PinnedModel, str]:
        """A newer model that takes each of two labels for the other one, and says so itself; with its image."""
        folder = self.folder / f"swapped-{one}-{other}"
        shutil.copytree(self.folder / "model", folder)
        swap = {one: other, other: one}
        document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        document |= {"version": folder.name, "created": "2026-11-20T01:00:00Z"}
        document["labels"] = [swap.get(label, label) for label in document["labels"]]
        for example in document["golden"]:
            example["label"] = swap.get(example["label"], example["label"])
        (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
        return self._publish(folder), self._build_image(folder)

    def golden_picture(self, label: str) -> bytes:
        """A picture that the scene's model knows."""
        return (self.folder / "model" / "golden" / f"{label}.png").read_bytes()

    def start(self, command: str, plan: RolloutPlan, *words: str, **settings: str) -> Deployer:
        """Start the deployer as a process of this machine, which is the cluster's node."""
        named = ["--release", plan.release, "--environment", plan.environment.name]
        return Deployer([command, *named, "--reach", "cluster-ip", *words], self._environment() | settings)

    def run(self, command: str, plan: RolloutPlan, *words: str, **settings: str) -> Deployer:
        """Run the deployer to its end."""
        deployer = self.start(command, plan, *words, **settings)
        deployer.wait()
        return deployer

    def nightferry(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the command as a person with the deployer's rights does, where there is no Airflow."""
        running = self.start_nightferry(*words, **settings)
        out, error = running.communicate(timeout=300)
        return subprocess.CompletedProcess(running.args, running.returncode, out, error)

    def start_nightferry(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        """Start it."""
        folder = self.folder / "services"
        folder.mkdir(exist_ok=True)
        given = {"name": "production", "namespace": self.name, "service_type": "NodePort"}
        file = {
            "service": SERVICE,
            "owner": "tests",
            "model": {"repository": f"azure-blob://{self.name}-models/{SERVICE}"},
            "image": {"repository": self.image.partition("@")[0]},
            "environments": [given],
        }
        (folder / f"{SERVICE}.yaml").write_text(yaml.safe_dump(file), encoding="utf-8")
        nowhere = {"NIGHTFERRY_SERVICES": str(folder), "NIGHTFERRY_AIRFLOW_URL": "http://127.0.0.1:9"}
        return subprocess.Popen(
            [sys.executable, "-m", "nightferry", *words],
            env=self._environment() | nowhere | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def traffic_by_gateway(self) -> dict[str, str]:
        """What an environment says whose users come through the sandbox's gateway."""
        return {"gateway": "users", "host": f"{self.name}.nightferry.test"}

    def ended(self) -> None:
        """Wait for the commands that were started; they have to end well."""
        for command in self.running:
            _, error = command.communicate(timeout=300)
            assert command.returncode == 0, error
        self.running.clear()

    @contextmanager
    def no_storage(self) -> Iterator[dict[str, str]]:
        """Settings with which nothing answers where the storage should be."""
        connection = Path(self.settings.require("STORAGE_CONNECTION_FILE")).read_text(encoding="utf-8").strip()
        file = self.folder / "nowhere"
        file.touch(mode=0o600)
        file.write_text(re.sub(r"(BlobEndpoint=http://)[^/;]+", r"\g<1>127.0.0.1:9", connection), encoding="utf-8")
        yield {"NIGHTFERRY_STORAGE_CONNECTION_FILE": str(file)}

    def released(self, **environment: Any) -> str:
        """Roll out the next release, which verifies it too; the release."""
        plan = self.plan(**environment)
        deployer = self.run("roll_out", plan)
        assert deployer.wait() == 0, deployer.lines
        return plan.release

    @contextmanager
    def models_refused(self) -> Iterator[dict[str, str]]:
        """Settings with which the storage refuses the models, so that golden examples cannot be fetched."""
        connection = Path(self.settings.require("STORAGE_CONNECTION_FILE")).read_text(encoding="utf-8").strip()
        with refusing_storage(connection) as refused:
            file = self.folder / "refused"
            file.touch(mode=0o600)
            file.write_text(refused, encoding="utf-8")
            yield {"NIGHTFERRY_STORAGE_CONNECTION_FILE": str(file)}

    def close(self, release: str) -> None:
        """What the run's last task does."""
        entries = release_entries(self.ledger, release)
        decision = next(Decision.model_validate(one.data) for one in entries if one.kind == Kind.DECISION)
        record_release(self.ledger, SystemClock(), decision, decision.environments)

    def would_decide(self, plan: RolloutPlan) -> Decision:
        """What is decided next, where the newest is what this plan's release was made of."""
        decided = next(one for one in release_entries(self.ledger, plan.release) if one.kind == Kind.DECISION)
        decision = Decision.model_validate(decided.data)
        spec = decision.service_spec
        assert spec
        chain, clock = Chain(self.ledger, SERVICE), SystemClock()
        pinned = Pinned(decision.candidate)
        return weigh(spec, ReleaseRequest(), pinned, chain, clock, key="look", actor="test").decision

    def retire(self) -> None:
        """Run `deployer retire`."""
        words = ["retire", "--namespace", self.name, "--service", SERVICE, "--reach", "cluster-ip"]
        deployer = Deployer(words, self._environment())
        assert deployer.wait() == 0, deployer.lines

    def put_back(self, environment: str) -> Deployer:
        """Run `deployer look` to its end."""
        deployer = Deployer(["look", "--service", SERVICE, "--environment", environment], self._environment())
        deployer.wait()
        return deployer

    # Looking

    def address(self) -> str:
        """Where users call the service."""
        return service_address(self.cluster, SERVICE)

    def in_use(self) -> str | None:
        """The release that the stable Service points to."""
        found = self.cluster.get("Service", SERVICE)
        return found["spec"]["selector"][names.VERSION] if found else None

    def deployments(self) -> dict[str, int]:
        """Release -> pods that its Deployment wants."""
        found = self.cluster.list("Deployment", names.labels(SERVICE))
        return {names.annotations_of(one)[names.RELEASE]: one["spec"]["replicas"] for one in found}

    def entries(self) -> list[LedgerEntry]:
        """What the deployer wrote on the record."""
        return [entry for entry in self._entries() if entry.kind not in (Kind.DECISION, Kind.STEP)]

    def _entries(self) -> list[LedgerEntry]:
        return [LedgerEntry.model_validate_json(self.ledger.read(name)) for name in self.ledger.names(SERVICE)]

    def pods(self) -> list[str]:
        """The pods that stay."""
        return [
            one["metadata"]["name"] for one in self.cluster.list("Pod") if "deletionTimestamp" not in one["metadata"]
        ]

    def traffic(self, environment: str = "staging") -> Traffic:
        """What the record says that users get."""
        return read_state(self.ledger, SERVICE).traffic.get(environment, Traffic())

    # Meddling

    def answer_otherwise(self, release: str) -> None:
        """Make the release's pods answer as made from another commit, as if somebody had changed them by hand."""
        name = names.object_name(release)
        container = {"name": "service", "env": [{"name": "NIGHTFERRY_SOURCE", "value": ANOTHER}]}
        change = {"spec": {"template": {"spec": {"containers": [container]}}}}
        from kubernetes.client import AppsV1Api

        AppsV1Api(self._api).patch_namespaced_deployment(name, self.name, change)
        deadline = time.monotonic() + 60
        while self._said(release) != {ANOTHER}:
            assert time.monotonic() < deadline, "the pods were not changed"
            time.sleep(0.2)

    def _said(self, release: str) -> set[str]:
        found = self.cluster.list("Pod", names.selector(SERVICE, release))
        return {
            one["value"]
            for pod in found
            for one in pod["spec"]["containers"][0]["env"]
            if one["name"] == "NIGHTFERRY_SOURCE"
        }

    def edit(self, kind: str, name: str, change: dict[str, Any]) -> None:
        """Change a Deployment or a Service as `kubectl edit` does: lists are merged by their names."""
        from kubernetes import client

        apis = {"Deployment": client.AppsV1Api(self._api), "Service": client.CoreV1Api(self._api)}
        patch = getattr(apis[kind], f"patch_namespaced_{kind.lower()}")
        patch(name, self.name, change, field_manager="kubectl-edit")

    def keep_secret(self, name: str, **values: str) -> None:
        """Make a Secret in the namespace."""
        from kubernetes import client

        secret = {"metadata": {"name": name}, "stringData": values}
        client.CoreV1Api(self._api).create_namespaced_secret(self.name, secret)

    def clear(self, but: str | None = None) -> None:
        """Remove every release, or every one but that."""
        for release in self.deployments():
            if release != but:
                self.cluster.delete("Deployment", names.object_name(release))
        if but is None:
            for name in (SERVICE, f"{SERVICE}-candidate"):
                self.cluster.delete("Service", name)
            with suppress(NightferryError):  # a cluster may know no routes
                self.cluster.delete("HTTPRoute", SERVICE)

    def kill_pods(self, release: str | None = None) -> int:
        """End every pod, or those of a release, at once, without preStop hook, drain and grace; how many there were."""
        from kubernetes import client

        core = client.CoreV1Api(self._api)
        wanted = names.selector(SERVICE, release) if release else {}
        chosen = ",".join(f"{label}={value}" for label, value in wanted.items())
        found = core.list_namespaced_pod(self.name, label_selector=chosen).items
        core.delete_collection_namespaced_pod(self.name, label_selector=chosen, grace_period_seconds=0)
        return len(found)

    def scale(self, release: str, replicas: int) -> None:
        """Change how many pods a release wants."""
        self.cluster.patch("Deployment", names.object_name(release), {"spec": {"replicas": replicas}})

    def point_to(self, release: str) -> None:
        """Send all users to a release by bare patches of the Service and, where there is one, the route."""
        selector = names.selector(SERVICE, release)
        notes = {"metadata": {"annotations": {names.RELEASE: release}}}
        self.cluster.patch("Service", SERVICE, notes | {"spec": {"selector": selector}})
        found = self.cluster.get("HTTPRoute", SERVICE)
        if found is not None:
            (rule,) = found["spec"]["rules"]
            (backend, *_) = rule["backendRefs"]
            only = {**rule, "backendRefs": [{**backend, "name": names.object_name(release), "weight": 1}]}
            self.cluster.patch("HTTPRoute", SERVICE, {"spec": {"rules": [only]}})

    @contextmanager
    def quota(self, hard: dict[str, str]) -> Iterator[None]:
        """A quota on the namespace, for a while."""
        from kubernetes import client

        core = client.CoreV1Api(self._api)
        core.create_namespaced_resource_quota(self.name, {"metadata": {"name": "tight"}, "spec": {"hard": hard}})
        try:
            yield
        finally:
            core.delete_namespaced_resource_quota("tight", self.name)

    # What is made once

    def _admin(self) -> Any:
        from kubernetes import config

        kubeconfig = self.settings.home / "kubernetes" / "admin.kubeconfig"
        return config.new_client_from_config(str(kubeconfig), persist_config=False)

    def _publish_model(self) -> PinnedModel:
        trained = self.folder / "model"
        script = ROOT / "examples" / "digits" / "train.py"
        fixed = ("--version", "rollout-test", "--created", "2026-11-20T00:00:00Z", "--author", "tests")
        subprocess.run(
            [sys.executable, str(script), "--out", str(trained), "--variant", "linear", *fixed],
            check=True,
            capture_output=True,
        )
        self._storage.create_container(f"{self.name}-models")
        return self._publish(trained)

    def _publish(self, folder: Path) -> PinnedModel:
        source = ModelSource(repository=f"azure-blob://{self.name}-models/{SERVICE}")
        models = connect.models(self.settings, source)
        published = publish_model(folder, SERVICE, models, SystemClock())
        return models.pin(published.version)[0]

    def _build_image(self, model: Path) -> str:
        app, tests = self.folder / "app", self.folder / "tests"
        if not app.exists():
            shutil.copytree(ROOT / "serving_app", app, ignore=shutil.ignore_patterns("__pycache__"))
            tests.mkdir()
        contexts = {"app": app, "tests": tests, "model": model}
        arguments = {"BASE_IMAGE": self.settings.require("BASE_IMAGE")}
        return self._build(
            BuildRequest(ROOT / "docker" / "serving" / "Dockerfile", "serving", contexts, arguments), model.name
        )

    def _build_faulty(self, target: str) -> str:
        dockerfile = self.folder / "faulty" / "Dockerfile"
        dockerfile.parent.mkdir(exist_ok=True)
        dockerfile.write_text(FAULTY, encoding="utf-8")
        return self._build(BuildRequest(dockerfile, target, {}, {"GOOD": self.image}))

    def _build(self, request: BuildRequest, name: str = "faulty") -> str:
        tag = f"{self.settings.require('REGISTRY')}/{self.name}:{request.target}-{name}"
        request = BuildRequest(request.dockerfile, request.target, request.contexts, request.arguments, push=(tag,))
        image = str(connect.builder(self.settings).build(request, self.folder / f"{request.target}.log"))
        self._images.append(image)
        return image

    def _make_namespace(self) -> None:
        from kubernetes import client

        # The gateway takes the routes of namespaces that carry the second one.
        level = {"pod-security.kubernetes.io/enforce": "restricted", names.MANAGED_BY: "nightferry"}
        core = client.CoreV1Api(self._api)
        core.create_namespace({"metadata": {"name": self.name, "labels": level}})
        account = "nightferry-deployer"
        core.create_namespaced_service_account(self.name, {"metadata": {"name": account}})
        client.RbacAuthorizationV1Api(self._api).create_namespaced_role_binding(
            self.name,
            {
                "metadata": {"name": account},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": account},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": self.name}],
            },
        )
        asked = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=None))
        token = core.create_namespaced_service_account_token(account, self.name, asked).status.token
        self._write_kubeconfig(token)

    @contextmanager
    def without_leases(self) -> Iterator[dict[str, str]]:
        """Settings with which the deployer has the role of an older version, which grants nothing on Leases."""
        from kubernetes import client

        core, rbac = client.CoreV1Api(self._api), client.RbacAuthorizationV1Api(self._api)
        role = rbac.read_cluster_role("nightferry-deployer")
        rules = [rule for rule in role.rules if "leases" not in (rule.resources or [])]
        name = "older-deployer"
        core.create_namespaced_service_account(self.name, {"metadata": {"name": name}})
        rbac.create_namespaced_role(self.name, client.V1Role(metadata={"name": name}, rules=rules))
        rbac.create_namespaced_role_binding(
            self.name,
            {
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.name}],
            },
        )
        asked = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=None))
        token = core.create_namespaced_service_account_token(name, self.name, asked).status.token
        yield {"NIGHTFERRY_KUBECONFIG": str(self._write_kubeconfig(token, name))}

    def _write_kubeconfig(self, token: str, name: str = "kubeconfig") -> Path:
        configuration = self._api.configuration
        # The client keeps the authority in a file of its own that goes with this process.
        authority = self.folder / "ca.crt"
        shutil.copyfile(configuration.ssl_ca_cert, authority)
        server = {"server": configuration.host, "certificate-authority": str(authority)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": server}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        kubeconfig = self.folder / name
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(yaml.safe_dump(content), encoding="utf-8")
        return kubeconfig

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT / "plugins"),
            "PYTHONUNBUFFERED": "1",
            "NIGHTFERRY_KUBECONFIG": str(self.folder / "kubeconfig"),
            "NIGHTFERRY_LEDGER": f"{self.name}-ledger",
        }


class Deployer:
    """A running deployer."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nightferry.deployer", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._said:
                self.lines.append(line.rstrip())
                self._said.notify_all()

    def until_it_says(self, words: str, seconds: float = 90) -> None:
        """Wait for an event to have happened, as the deployer tells it."""
        with self._said:
            said = self._said.wait_for(lambda: any(words in line for line in self.lines), seconds)
        assert said, self.lines

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end(self, number: signal.Signals) -> int:
        """Send a signal; the exit code."""
        self.send(number)
        return self.wait()

    def wait(self, seconds: float = 180) -> int:
        """The exit code."""
        code = self._process.wait(seconds)
        self._reader.join(10)
        return code
