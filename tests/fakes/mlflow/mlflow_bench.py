"""A registered model of a real MLflow server, and a hand that changes it behind the repository's back."""

from __future__ import annotations

import io

import requests
from nightferry.clients.mlflow.errors import Refusal
from nightferry.clients.mlflow.models import MlflowModels
from nightferry.clients.mlflow.registry import LISTING, SHA256, VERSION, Registry, as_tags
from nightferry.clients.mlflow.server import MlflowServer
from nightferry.clients.mlflow.upload import EXPERIMENT, FOLDER, Body
from nightferry.entities.model_version import MANIFEST, manifest_sha256


class MlflowBench:
    """`put` and `remove` work as another tool that knows the tags does: a version is there with its model.json."""

    def __init__(self, url: str, name: str) -> None:
        self.server, self.name, self.url = MlflowServer(url), name, url
        self.repository, self.registry = MlflowModels(self.server, name), Registry(self.server, name)
        self._artifacts = f"{url}/api/2.0/mlflow-artifacts/artifacts"

    def put(self, name: str, content: bytes) -> None:
        version, _, file = name.partition("/")
        run, uri = self._run(version)
        self.overwrite(name, content)
        if file != MANIFEST:
            return
        self.registry.begin()
        registered = next(iter(self.registry.ours(version)), None)
        tags = {VERSION: version, SHA256: manifest_sha256(content)}
        if registered is None:
            self.registry.register(f"{uri}/{FOLDER}", run, tags)
            return
        of = {"name": self.name, "version": str(registered.number)}
        self.server.post("model-versions/set-tag", {**of, "key": SHA256, "value": tags[SHA256]})
        if LISTING in registered.tags:
            self.server.delete("model-versions/delete-tag", {**of, "key": LISTING})

    def overwrite(self, name: str, content: bytes) -> None:
        """Change the bytes alone, which MLflow lets everybody do."""
        version, _, file = name.partition("/")
        self.server.upload(f"{self.place(version)}/{file}", Body(io.BytesIO(content), len(content), None))

    def remove(self, name: str) -> None:
        version, _, file = name.partition("/")
        requests.delete(f"{self._artifacts}/{self.place(version)}/{file}", timeout=30).raise_for_status()
        if file == MANIFEST:
            for one in self.registry.all(version):
                self.registry.remove(one.number)

    def place(self, version: str) -> str:
        return f"{self.registry.served(self._run(version)[1])}/{FOLDER}"

    def _run(self, version: str) -> tuple[str, str]:
        experiment = self._experiment()
        search = {"experiment_ids": [experiment], "filter": f"tags.`{VERSION}` = '{version}'", "max_results": 1}
        found = self.server.post("runs/search", search).get("runs", [])
        if not found:
            body = {"experiment_id": experiment, "run_name": version, "tags": as_tags({VERSION: version})}
            found = [self.server.post("runs/create", body)["run"]]
        return found[0]["info"]["run_id"], found[0]["info"]["artifact_uri"]

    def _experiment(self) -> str:
        name = f"{EXPERIMENT}{self.name}"
        try:
            return str(self.server.post("experiments/create", {"name": name})["experiment_id"])
        except Refusal:
            found = self.server.get("experiments/get-by-name", {"experiment_name": name})
            return str(found["experiment"]["experiment_id"])
