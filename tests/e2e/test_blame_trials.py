"""The combinations of old and new are really built, started and asked: this machine's builder, registry and engine."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from nightferry import settings as settings_of
from nightferry.clients.buildkit.builder import BuildKit
from nightferry.clients.clock import SystemClock
from nightferry.clients.git.source import GitSource
from nightferry.clients.registry.oci import OciRegistry
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.steps.app.recipe import recipe_digest
from nightferry.steps.deciding.decide import decide
from nightferry.steps.image.build_image import build_image
from nightferry.steps.image.request import Sources
from nightferry.steps.model.fetch_model import fetch_model
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.record.record import record_failure

from tests.e2e.stage import ROOT
from tests.fakes import a_release
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.memory.memory_locks import MemoryLocks
from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.still_clock import StillClock

pytestmark = pytest.mark.sandbox
WRONG = "The image gets the model's golden examples wrong."


class Bench:
    """A service with code and models of its own; its record is in memory."""

    def __init__(self, folder: Path) -> None:
        self.settings = settings_of.load()
        self.service = f"e2e-blame-{uuid.uuid4().hex[:6]}"
        self.folder, self.repository = folder, folder / "repository"
        self.ledger, self.models, self.locks, self.clock = MemoryLedger(), MemoryModels(), MemoryLocks(), SystemClock()
        self.spec = ServiceSpec.model_validate(
            {
                "service": self.service,
                "owner": "tests",
                "source": {"repository": str(self.repository), "ref": "main", "path": "serving_app", "tests": None},
                "model": {"repository": f"azure-blob://models/{self.service}"},
                "image": {"repository": f"{self.settings.require('REGISTRY')}/{self.service}"},
                "environments": [
                    {"name": "staging", "namespace": "staging"},
                    {"name": "production", "namespace": "production"},
                ],
            }
        )
        self.source = GitSource(str(self.repository), folder / "work", self.settings.root, 60)
        self.registry = OciRegistry()
        self._begin()

    def _begin(self) -> None:
        shutil.copytree(
            ROOT / "serving_app", self.repository / "serving_app", ignore=shutil.ignore_patterns("__pycache__")
        )
        self.git("init", "-q", "-b", "main")
        self.commit("Begin")
        train = [sys.executable, str(ROOT / "examples" / "digits" / "train.py"), "--variant", "linear"]
        subprocess.run([*train, "--out", str(self.folder / "trained")], check=True, capture_output=True)

    def git(self, *words: str) -> None:
        person = ("-c", "user.name=e2e", "-c", "user.email=e2e@example.com")
        subprocess.run(["git", *person, *words], cwd=self.repository, check=True, capture_output=True)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def publish(self, version: str, *, broken: bool = False) -> None:
        """The sample's model; a broken one has its labels in another order than its golden examples know."""
        folder = self.folder / version
        shutil.copytree(self.folder / "trained", folder)
        document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        created = self.clock.now().isoformat().replace("+00:00", "Z")
        document |= {"service": self.service, "version": version, "created": created}
        if broken:
            document["labels"] = document["labels"][1:] + document["labels"][:1]
        (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
        self.models.publish(folder, *read_manifest(folder))

    def decide(self) -> Decision:
        """What the newest of both comes to; its image is built."""
        return decide(
            self.spec,
            ReleaseRequest(),
            key=f"run:{uuid.uuid4()}",
            actor="ana",
            models=self.models,
            source=self.source,
            ledger=self.ledger,
            base_image=self.settings.require("BASE_IMAGE"),
            recipe=recipe_digest(self.settings.root),
            clock=self.clock,
        )

    def build(self, decision: Decision) -> str:
        """Its image, as a candidate."""
        return build_image(
            decision=decision,
            spec=self.spec,
            model_folder=fetch_model(decision.candidate.model, self.models, self.folder / "work"),
            builder=BuildKit(self.settings.buildctl, self.address),
            registry=self.registry,
            sources=Sources(self.source, self.locks, self.settings.root, self.folder / "work"),
            clock=self.clock,
        ).image

    @property
    def address(self) -> str:
        """Where the sandbox's builder listens."""
        return self.settings.require("BUILDKIT")

    def remove(self) -> None:
        """Remove its images, and what was fetched and built for them."""
        work = self.settings.work
        shutil.rmtree(work / "models" / self.service, ignore_errors=True)
        mirror = work / "sources" / hashlib.sha256(str(self.repository).encode()).hexdigest()[:16]
        shutil.rmtree(mirror.with_suffix(".git"), ignore_errors=True)
        mirror.with_suffix(".git.lock").unlink(missing_ok=True)
        for log in (work / "logs").glob(f"{self.service}-*"):
            log.unlink()
        host = self.settings.require("REGISTRY")
        for repository in (self.spec.image.repository, self.spec.image.candidates):
            for tag in self.registry.tags(repository):
                image = self.registry.find(repository, tag)
                if image:
                    name = repository.removeprefix(f"{host}/")
                    requests.delete(f"http://{host}/v2/{name}/manifests/{image.digest}", timeout=10)


class RunSaid:
    """What Airflow says of the run: `test_image` failed for good."""

    dag_id = run_id = "e2e"
    try_number = 1

    def get_task_breadcrumbs(self, *_: str) -> list[dict[str, str]]:
        return [{"task_id": "test_image", "state": "failed"}]

    def xcom_pull(self, task_ids: str, key: str = "") -> dict[str, Any]:
        return {"reason": Reason.IMAGE_GOLDEN_WRONG, "sentence": WRONG, "permanent": True}

    def xcom_push(self, **_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    bench = Bench(tmp_path)
    yield bench
    bench.remove()


def test_a_broken_model_is_found_among_images_that_really_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a release in use, new code and a broken model; when the task looks; then it names the model, with what each
    of the four images did."""
    from nightferry.hooks.storage import StorageHook
    from nightferry.operators.image.blame import BlameOperator

    registry = {"conn_type": "docker", "host": bench.settings.require("REGISTRY")}
    monkeypatch.setenv("AIRFLOW_CONN_NIGHTFERRY_REGISTRY", json.dumps(registry))
    monkeypatch.setenv("AIRFLOW_CONN_NIGHTFERRY_BUILDKIT", json.dumps({"conn_type": "generic", "host": bench.address}))
    for door in ("models", "locks"):
        monkeypatch.setattr(StorageHook, door, lambda hook, source, door=door: getattr(bench, door))
    monkeypatch.setattr(StorageHook, "ledger_store", lambda hook: bench.ledger)
    bench.publish("one")
    first = bench.decide()
    monkeypatch.setattr(a_release, "IMAGE", bench.build(first))
    a_release.released(bench.ledger, StillClock(bench.clock.now()), first)
    (bench.repository / "serving_app" / "more.py").write_text("# more\n")
    bench.commit("More")
    bench.publish("two", broken=True)
    failed = bench.decide()
    assert (failed.reason, failed.in_use) == (Reason.NEW_MODEL_AND_SOURCE, first.release)
    bench.build(failed)
    record_failure(bench.ledger, bench.clock, failed, "test_image", Permanent(Reason.IMAGE_GOLDEN_WRONG, WRONG))

    task = BlameOperator(task_id="blame", spec=bench.spec, decision=failed.model_dump_json())
    blame = task.execute({"ti": RunSaid()})

    assert blame["guilty"] == "model", blame["sentence"]
    assert [one["passed"] for one in blame["trials"]] == [True, False, True, False]
    assert "golden/" in blame["trials"][1]["sentence"]
    assert blame["commands"] == [f"nightferry release {bench.service} --model one"]
    assert bench.registry.tags(bench.spec.image.repository) == (), "something reached the release repository"
    assert ImageRef.parse(bench.build(failed)).digest
