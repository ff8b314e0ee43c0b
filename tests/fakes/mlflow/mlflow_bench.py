"""A registered model of a real MLflow server, and a hand that changes it behind the repository's back."""

from __future__ import annotations

import io
import uuid
from collections.abc import Mapping

import requests
from nightferry.clients.mlflow.errors import Refusal
from nightferry.clients.mlflow.models import MlflowModels
from nightferry.clients.mlflow.registry import LISTING, SHA256, VERSION, Registry, as_tags
from nightferry.clients.mlflow.server import MlflowServer
from nightferry.clients.mlflow.upload import EXPERIMENT, FOLDER, Body, tags_of
from nightferry.entities.model_version import MANIFEST, manifest_sha256, parse_manifest

from tests.fakes.storage_door import Door
from tests.fakes.storage_door import Refusal as Answer


class MlflowBench:
    """`put` and `remove` work as another tool that knows the tags does: a version is there with its model.json.

    The repository goes through the door, where there is one.
    """

    many, few, sees_overwriting = 25, 3, False  # of pages of ten; thousands are in test_mlflow_faults.py
    prefixes = (
        "it's",
        'a "quoted" one',
        "back\\slash",
        "100 % _x_",
        "\u6570 \u00fc",
        "a=b AND c",
        "a#b?c&d+e@f",
        "`t`; -- x",
    )
    denied = Answer(403, {"Content-Type": "application/json"}, b'{"error_code": "PERMISSION_DENIED", "message": "No"}')
    busy = Answer(503, {}, b"")

    def __init__(self, url: str, door: Door | None = None) -> None:
        self.url, self._door = url, door
        self._artifacts = f"{url}/api/2.0/mlflow-artifacts/artifacts"
        self._unique = uuid.uuid4().hex[:12]
        self.server = MlflowServer(url)
        self.within("test")

    def within(self, prefix: str) -> None:
        self.name = f"{prefix} {self._unique}"
        self.repository = MlflowModels(
            MlflowServer(f"http://{self._door.address}" if self._door else self.url), self.name
        )
        self.registry = Registry(self.server, self.name)

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

    def put_many(self, files: Mapping[str, bytes]) -> None:
        """Versions as we publish them, all of one run: MLflow's part of it is what a listing asks for."""
        run, uri = self._run("many")
        self.registry.begin()
        for name, content in files.items():
            tags = tags_of(parse_manifest(content), content)
            self.registry.register(f"{uri}/{FOLDER}/{name.partition('/')[0]}", run, tags)

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

    def requests(self) -> int:
        return len(self.door.habits.asked)

    def refuse(self, denied: bool) -> None:
        self.door.habits.refusal = self.denied if denied else self.busy

    def slow(self, seconds: float) -> None:
        self.door.habits.pause = seconds

    def cut_downloads(self, after: list[int]) -> None:
        self.door.habits.cuts = list(after)

    def break_uploads(self) -> None:
        self.door.habits.cut_uploads = 1000

    def lose_answers(self, count: int) -> None:
        self.door.habits.drop_writes = count

    def well(self) -> None:
        self.door.habits.cut_uploads = 0

    @property
    def door(self) -> Door:
        assert self._door
        return self._door

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
