"""A service of the tests' own on the sandbox: its file, its repository, its models, and their removal.

Nothing of what a user has is touched: other service file, model prefix, ledger chain, image repositories, DAG, and
Kubernetes objects named after the service in the shared namespaces.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from nightferry import settings as settings_of
from nightferry.clients import connect
from nightferry.clients.airflow.api import AirflowApi
from nightferry.clients.azure.ledger import NOTES
from nightferry.clients.kube.cluster import KubeCluster
from nightferry.clients.kube.connection import open_cluster
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.service_spec import ServiceSpec
from nightferry.manifests import names
from nightferry.sandbox.layout import Layout, Owner
from nightferry.sandbox.supervise.supervision import Supervisor
from nightferry.steps.services.load_services import load_service
from nightferry.steps.services.service_address import service_address

ROOT = Path(__file__).resolve().parents[2]
SERVICE = "e2e-digits"
DAG = f"release_{SERVICE}"
ENVIRONMENTS = ("staging", "production")
KINDS = ("Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "HorizontalPodAutoscaler", "Lease")
SERVICE_FILE = """\
service: {service}
owner: nightferry-tests
description: Released by the tests; they remove it.
source: {{repository: "{repository}", ref: main, path: serving_app, tests: checks}}
model: {{repository: azure-blob://models/{service}}}
image: {{repository: "${{NIGHTFERRY_REGISTRY}}/{service}"}}
gates: {{accuracy: ">= 0.95"}}
environments:
  - {{name: staging, namespace: staging, replicas: 1, ready_seconds: 60, resources: {{cpu: 10m, memory: 96Mi}}}}
  - {{name: production, namespace: production, replicas: 2, ready_seconds: 60, resources: {{cpu: 10m, memory: 96Mi}}}}
"""
CHECK = """\
from serving_app.model.labels import TOP_K


def test_three_labels_are_answered():
    assert TOP_K == 3
"""


class Stage:
    """The tests' service and the doors to where it lives."""

    def __init__(self, folder: Path, service: str = SERVICE) -> None:
        self.service = service
        self.dag = f"release_{service}"
        self.settings = settings_of.load()
        self.layout = Layout(root=self.settings.root, home=self.settings.home, owner=Owner.current())
        self.supervisor = Supervisor(self.layout)
        self.folder = folder
        self.repository = folder / "repository"
        self.ledger = connect.ledger_store(self.settings)
        self.airflow = AirflowApi.connect(self.settings)
        self._trained: dict[str, Path] = {}

    # What is set up once

    def begin(self) -> None:
        """Remove what a killed session left, then add the service."""
        self.remove()
        self.make_repository()
        file = self.service_file
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_text(SERVICE_FILE.format(service=self.service, repository=self.repository), encoding="utf-8")

    @property
    def service_file(self) -> Path:
        return self.settings.home / "services" / f"{self.service}.yaml"

    @property
    def spec(self) -> ServiceSpec:
        return load_service(self.settings.services_folders, self.settings.expandable, self.service)

    def make_repository(self) -> None:
        """The app, with a quick test of its own."""
        copied = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / "serving_app", self.repository / "serving_app", ignore=copied)
        (self.repository / "checks").mkdir()
        (self.repository / "checks" / "test_labels.py").write_text(CHECK, encoding="utf-8")
        self.git("init", "-q", "-b", "main")
        self.commit("Begin")

    # Making things happen

    def git(self, *words: str) -> str:
        """Run git in the service's repository."""
        person = ("-c", "user.name=e2e", "-c", "user.email=e2e@example.com")
        done = subprocess.run(["git", *person, *words], cwd=self.repository, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit everything; the commit's id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def nightferry(self, *words: str, timeout: float = 540) -> subprocess.CompletedProcess[str]:
        """Run the command as a user does."""
        return subprocess.run(
            [sys.executable, "-m", "nightferry", *words], capture_output=True, text=True, timeout=timeout, check=False
        )

    def train(self, variant: str) -> Path:
        """A model folder of the sample's variant, under a name and with a time of its own."""
        return self.of_trained(self.trained(variant), variant)

    def trained(self, variant: str) -> Path:
        """The sample's variant as it is trained, once."""
        if variant not in self._trained:
            out = self.folder / f"trained-{variant}"
            script = ROOT / "examples" / "digits" / "train.py"
            subprocess.run(
                [sys.executable, str(script), "--out", str(out), "--variant", variant], check=True, capture_output=True
            )
            self._trained[variant] = out
        return self._trained[variant]

    def of_trained(self, trained: Path, variant: str) -> Path:
        """A copy of a trained model as a version of this service."""
        version = f"{variant}-{uuid.uuid4().hex[:8]}"
        folder = self.folder / version
        shutil.copytree(trained, folder)
        manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        now = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
        manifest |= {"service": self.service, "version": version, "created": now}
        (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
        return folder

    # Looking

    def cluster(self, environment: str) -> KubeCluster:
        """The environment's namespace, with the rights of the cluster's owner."""
        admin = self.layout.kubeconfig("admin")
        ours = self.settings.own("KUBECONFIG") is None
        settings = self.settings.model_copy(update={"kubeconfig": admin}) if ours else self.settings
        return open_cluster(settings, environment)

    def url(self, environment: str = "production") -> str:
        """Where the service answers."""
        return service_address(self.cluster(environment), self.service)

    def version(self, environment: str = "production") -> Any:
        """The passport that the service answers with."""
        answer = requests.get(f"{self.url(environment)}/version", timeout=10)
        answer.raise_for_status()
        return answer.json()

    def entries(self) -> list[LedgerEntry]:
        """The service's whole record."""
        return [LedgerEntry.model_validate_json(self.ledger.read(name)) for name in self.ledger.names(self.service)]

    def deployments(self, environment: str) -> list[str]:
        """The releases that have a Deployment there."""
        found = self.cluster(environment).list("Deployment", names.labels(self.service))
        return sorted(names.annotations_of(one)[names.RELEASE] for one in found)

    def tags(self, repository: str) -> dict[str, str]:
        """Tag -> digest of one of the service's image repositories."""
        registry = self.settings.require("REGISTRY")
        found = requests.get(f"http://{registry}/v2/{repository}/tags/list", timeout=10).json().get("tags") or []
        types = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
        types += ", application/vnd.oci.image.index.v1+json"
        tags = {}
        for tag in found:
            answer = requests.head(
                f"http://{registry}/v2/{repository}/manifests/{tag}", headers={"Accept": types}, timeout=10
            )
            if answer.ok:
                tags[tag] = answer.headers["Docker-Content-Digest"]
        return tags

    # Taking parts of the sandbox away

    @contextmanager
    def without(self, part: str) -> Iterator[None]:
        """Stop a part of the sandbox for a while."""
        self.supervisor.stop([part])
        try:
            yield
        finally:
            self.restore(part)

    def restore(self, part: str) -> None:
        """Start a part, and wait until it does its work."""
        from tests.e2e.given_when_then import eventually

        self.supervisor.start(part)
        eventually(lambda: self._healthy(part), 120, f"{part} is healthy again")

    def _healthy(self, part: str) -> bool:
        shown = json.loads(self.nightferry("status", "--json").stdout)
        return any(found["name"] == part and found["healthy"] for found in shown["parts"])

    # Leaving

    def remove(self) -> None:
        """Remove everything that the service has anywhere."""
        self._remove_work()
        self.service_file.unlink(missing_ok=True)
        self._remove_dag()
        for environment in ENVIRONMENTS:
            cluster = self.cluster(environment)
            for kind in KINDS:
                for found in cluster.list(kind, {names.NAME: self.service}):
                    cluster.delete(kind, found["metadata"]["name"])
        storage = connect.storage(self.settings)
        ledger = self.settings.get("LEDGER") or "ledger"
        for container in ("models", ledger, ledger + NOTES):
            client = storage.get_container_client(container)
            for blob in list(client.list_blobs(name_starts_with=f"{self.service}/")):
                client.delete_blob(blob.name)
        for repository in (self.service, f"{self.service}-candidates"):
            for digest in set(self.tags(repository).values()):
                requests.delete(
                    f"http://{self.settings.require('REGISTRY')}/v2/{repository}/manifests/{digest}", timeout=10
                )
        # Last: a run that was under way may have written until now.
        shutil.rmtree(self.settings.home / "airflow" / "logs" / f"dag_id={self.dag}", ignore_errors=True)

    def _remove_work(self) -> None:
        """The fetched models, the builds' logs, and the mirror of the repository."""
        work = self.settings.work
        shutil.rmtree(work / "models" / self.service, ignore_errors=True)
        for log in (work / "logs").glob(f"{self.service}-*"):
            log.unlink()
        if self.service_file.exists() and self.spec.source:
            mirror = work / "sources" / hashlib.sha256(self.spec.source.repository.encode()).hexdigest()[:16]
            shutil.rmtree(mirror.with_suffix(".git"), ignore_errors=True)
            mirror.with_suffix(".git.lock").unlink(missing_ok=True)

    def _remove_dag(self) -> None:
        token = requests.post(
            f"{self.airflow.address}/auth/token",
            json={
                "username": self.settings.require("AIRFLOW_USER"),
                "password": Path(self.settings.require("AIRFLOW_PASSWORD_FILE")).read_text(encoding="utf-8").strip(),
            },
            timeout=30,
        ).json()["access_token"]
        for dag in (self.dag, f"approve_{self.service}"):
            headers = {"Authorization": f"Bearer {token}"}
            requests.delete(f"{self.airflow.address}/api/v2/dags/{dag}", headers=headers, timeout=60)
