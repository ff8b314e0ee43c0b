"""The service that benchmarks/release.py releases: its file, its models, and how to release it through Nightferry."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nightferry import settings as settings_of
from nightferry.clients import connect
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.services.load_services import load_service

ROOT = Path(__file__).resolve().parents[1]
NIGHTFERRY = str(ROOT / ".venv" / "bin" / "nightferry")
NAME = "bench-digits"
SERVICE_FILE = """\
service: {name}
owner: benchmarks
description: What benchmarks/release.py releases; removed at its end.
source: {{repository: ., ref: HEAD, path: serving_app}}
model: {{repository: azure-blob://models/{name}}}
image: {{repository: "${{NIGHTFERRY_REGISTRY}}/{name}"}}
gates: {{accuracy: ">= 0.9"}}
environments:
  - {{name: staging, namespace: staging, replicas: 1, warm_minutes: 0}}
  - {{name: production, namespace: production, replicas: 2, warm_minutes: 0}}
"""


class BenchService:
    """A service of its own on the running sandbox."""

    def __init__(self) -> None:
        self.settings = settings_of.load()
        self.file = self.settings.home / "services" / f"{NAME}.yaml"
        self._folder = tempfile.TemporaryDirectory(prefix="nightferry-bench-")
        self.folder = Path(self._folder.name)
        self._made = 0

    @property
    def spec(self) -> ServiceSpec:
        """The service, as Nightferry reads it."""
        return load_service([self.file.parent], self.settings.expandable, NAME)

    def prepare(self) -> None:
        """Write the service file, and train the model once; wait until Airflow knows the DAG."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(SERVICE_FILE.format(name=NAME), encoding="utf-8")
        self._run(sys.executable, str(ROOT / "examples/digits/train.py"), "--out", str(self.folder / "trained"))
        # The first release is not measured: it makes the Services, and Airflow's first run of a DAG is slower.
        self.release(self.publish_model("warm-up"))

    def publish_model(self, name: str) -> str:
        """Publish another version with other content; its name."""
        self._made += 1
        stamp = dt.datetime.now(dt.UTC)
        version = f"{stamp:%Y%m%d-%H%M%S}-{self._made}-{name}"
        folder = self.folder / version
        subprocess.run(["cp", "-r", str(self.folder / "trained"), str(folder)], check=True)
        (folder / "note.txt").write_text(version, encoding="utf-8")
        manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        note = (folder / "note.txt").read_bytes()
        manifest["files"].append({"name": "note.txt", "size": len(note), "sha256": hashlib.sha256(note).hexdigest()})
        manifest |= {"service": NAME, "version": version, "created": stamp.isoformat().replace("+00:00", "Z")}
        (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
        self._run(NIGHTFERRY, "models", "publish", NAME, str(folder))
        return version

    def release(self, version: str) -> tuple[float, dict[str, float]]:
        """Release through Nightferry; the seconds it took, and these by step and between the steps."""
        start = time.monotonic()
        said = json.loads(self._run(NIGHTFERRY, "release", NAME, "--model", version, "--wait", "--json"))
        total = time.monotonic() - start
        if said["state"] != "success" or not said["release"]:
            raise SystemExit(f"the release failed: {json.dumps(said, indent=2)}")
        shown = json.loads(self._run(NIGHTFERRY, "show", said["release"]["release"], "--json"))
        steps = {step["step"]: float(step["seconds"]) for step in shown["steps"] if step.get("seconds")}
        # The unit tests run beside the steps up to the image's own test; the longer of the two counts.
        beside = sum(steps[step] for step in ("fetch_model", "check_model", "build_image", "test_image"))
        one_by_one = sum(steps.values()) - min(beside, steps["test_source"])
        return total, {**steps, "between the steps": round(total - one_by_one, 1)}

    def prune(self) -> None:
        """Empty BuildKit's cache."""
        self._run(self.settings.require("BUILDCTL"), "--addr", self.settings.require("BUILDKIT"), "prune", "--all")

    def remove(self) -> None:
        """Remove what was made: service file, models, objects in the cluster. The ledger keeps its entries."""
        from kubernetes import client, config

        self.file.unlink(missing_ok=True)
        api = config.new_client_from_config(str(self.settings.home / "kubernetes" / "admin.kubeconfig"))
        for namespace in ("staging", "production"):
            chosen = f"app.kubernetes.io/name in ({NAME}, bench-bare)"
            client.AppsV1Api(api).delete_collection_namespaced_deployment(namespace, label_selector=chosen)
            for service in client.CoreV1Api(api).list_namespaced_service(namespace, label_selector=chosen).items:
                client.CoreV1Api(api).delete_namespaced_service(service.metadata.name, namespace)
        container = connect.storage(self.settings).get_container_client("models")
        for blob in list(container.list_blob_names(name_starts_with=f"{NAME}/")):
            container.delete_blob(blob)
        self._folder.cleanup()

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr}{done.stdout}")
        return done.stdout
