"""Everything a release meets outside Airflow, in memory, behind the hooks."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.entities.candidate import PinnedSource
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.rollout_record import ROLL_OUT, VERIFY, record_success, record_trouble
from nightferry.steps.rollout.read_plan import read_plan

from tests.dags.bag import parsed
from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.memory.memory_docker import MemoryDocker
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.memory.memory_locks import MemoryLocks
from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.model_versions import write_version

CONNECTIONS = {
    "NIGHTFERRY_REGISTRY": {"conn_type": "docker", "host": "127.0.0.1:5000"},
    "NIGHTFERRY_BUILDKIT": {"conn_type": "generic", "host": "unix:///memory"},
    "NIGHTFERRY_CLUSTER": {"conn_type": "kubernetes", "extra": {"in_cluster": True}},
}


class World:
    """The parts, as they are before a release; a test changes them and then calls `release`."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.ledger = MemoryLedger()
        self.locks = MemoryLocks()
        self.models = MemoryModels()
        self.docker = MemoryDocker()
        self.cluster = MemoryCluster(namespace="production")
        self.built: list[BuildRequest] = []
        self.images: dict[tuple[str, str], ImageRef] = {}
        self.pods: list[list[str]] = []
        self.code = "c"
        """One character, of which commits are made."""
        self.faults: dict[str, list[BaseException]] = {}
        """Step -> what its next attempts raise, in order."""
        self.reports: dict[str, dict[str, Any]] = {}
        """Step -> what the deployer writes down with its failures."""
        self._folder = folder
        for name, value in CONNECTIONS.items():
            patch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))
        patch.setenv("NIGHTFERRY_BASE_IMAGE", "base@sha256:" + "1" * 64)
        patch.setenv("NIGHTFERRY_DEPLOYER_IMAGE", "deployer@sha256:" + "2" * 64)
        self._stand_in(patch)
        self.publish("2026-11-20-a")

    def publish(self, version: str, **changes: Any) -> None:
        """Publish a model version."""
        place = write_version(self._folder, version, **changes)
        manifest, content = read_manifest(place)
        self.models.publish(place, manifest, content)

    def edit(self, old: str, new: str) -> None:
        """Edit the service file."""
        file = Path(os.environ["NIGHTFERRY_SERVICES"]) / "digits.yaml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def release(self, conf: dict[str, Any] | None = None, marked: str = "") -> tuple[str, dict[str, str]]:
        """Run the release DAG once, a task marked as done by hand: the run's state, and each task's."""
        dag = parsed().dags["release_digits"]
        for task in dag.tasks:
            task.retry_delay = task.retry_delay * 0
        run = dag.test(run_conf=conf, mark_success_pattern=f"^{marked}$" if marked else None)
        return str(run.state.value), {ti.task_id: str(ti.state) for ti in run.get_task_instances()}

    def entries(self) -> list[LedgerEntry]:
        """The record, oldest first."""
        return list(Chain(self.ledger, "digits"))[::-1]

    def maybe_fail(self, step: str) -> None:
        """Raise what the test planned for this attempt."""
        if self.faults.get(step):
            raise self.faults[step].pop(0)

    def _stand_in(self, patch: pytest.MonkeyPatch) -> None:
        from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
        from airflow.providers.docker.hooks.docker import DockerHook

        patch.setattr("nightferry.hooks.storage.StorageHook.models", lambda hook, source: self.models)
        patch.setattr("nightferry.hooks.storage.StorageHook.locks", lambda hook, source: self.locks)
        patch.setattr("nightferry.hooks.storage.StorageHook.ledger_store", lambda hook: self.ledger)
        patch.setattr("nightferry.hooks.registry.RegistryHook.registry", lambda hook: self)
        patch.setattr("nightferry.hooks.buildkit.BuildKitHook.builder", lambda hook, registry: self)
        patch.setattr("nightferry.operators.decide.source", lambda settings, source: self)
        patch.setattr("nightferry.operators.step.connect.source", lambda settings, source: self)
        patch.setattr(DockerHook, "api_client", self.docker)
        patch.setattr("nightferry.operators.decide.open_cluster", lambda connection, namespace: self.cluster)
        # Between two looks at the tasks `dag.test()` sleeps for a second.
        sleep = time.sleep
        patch.setattr("time.sleep", lambda seconds: sleep(min(seconds, 0.01)))
        world = self

        def execute(operator: Any, context: Any) -> None:
            world._pod(operator)

        patch.setattr(KubernetesPodOperator, "execute", execute)

    # the source repository

    def pin(self, ref: str, path: str, tests: str | None) -> PinnedSource:
        self.maybe_fail("decide")
        return PinnedSource(repository=".", ref=ref, commit=self.code * 40, tree=self.code * 40, path=path, tests=tests)

    def export(self, commit: str, path: str, target: Path) -> None:
        target.mkdir(parents=True)

    # the image builder and the registry

    def build(self, request: BuildRequest, log: Path) -> ImageRef | None:
        self.maybe_fail("test_source" if request.tests else "build_image")
        self.built.append(request)
        for name in request.push:
            repository, _, tag = name.rpartition(":")
            digest = f"{request.arguments['SOURCE'][0]}{request.arguments['MODEL']}".encode().hex()
            self.images[repository, tag] = ImageRef(repository, f"sha256:{digest:a<64}")
            return self.images[repository, tag]
        return None

    def find(self, repository: str, tag: str) -> ImageRef | None:
        return self.images.get((repository, tag))

    def copy(self, image: ImageRef, repository: str, tags: tuple[str, ...]) -> ImageRef:
        self.maybe_fail("publish_image")
        for tag in tags:
            self.images[repository, tag] = ImageRef(repository, image.digest)
        return ImageRef(repository, image.digest)

    # the cluster: a pod of the deployer, which writes on the record itself

    def _pod(self, operator: Any) -> None:
        self.pods.append(operator.arguments)
        command, _, release, _, environment = operator.arguments
        if command == "finish":
            return
        plan = read_plan(release_entries(self.ledger, release), environment)
        for task in (ROLL_OUT, VERIFY) if command == "roll_out" else (VERIFY,):
            name = f"{environment}.{task[0]}"
            try:
                self.maybe_fail(name)
            except NightferryError as fault:
                record_trouble(self.ledger, SystemClock(), plan, task, fault, self.reports.get(name, {}))
                operator.remote_pod = _ended(operator, 2 if isinstance(fault, Permanent) else 3)
                raise RuntimeError("the pod failed") from None
            record_success(self.ledger, SystemClock(), plan, task, f"{name} is done.", {})


def _ended(operator: Any, code: int) -> Any:
    state = SimpleNamespace(terminated=SimpleNamespace(exit_code=code))
    container = SimpleNamespace(name=operator.base_container_name, state=state)
    return SimpleNamespace(status=SimpleNamespace(container_statuses=[container]))
