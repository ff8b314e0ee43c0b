"""Upload a model version to MLflow: the files of a run, then model.json, then the version that is made of them.

1. The run is found by model.json's sha256, so that an interrupted upload is gone on with. What it left is read again
   and kept where it is right: MLflow tells no digest.
2. The version is created with its tags in one request, after all files are there: nobody ever sees half of one.
3. MLflow has no "create if absent". Of two that were created at once the one with the lower number is the version, for
   everybody; whoever made the other removes it. With the same content nothing is lost; other content is refused.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from nightferry.clients.doors.model_repository import OnBytes
from nightferry.clients.mlflow.errors import EXISTS, MISSING, Refusal
from nightferry.clients.mlflow.registry import LISTING, SHA256, VERSION, Registry, as_tags
from nightferry.clients.mlflow.server import MlflowServer
from nightferry.clients.versions.listing import listing_of, listing_text
from nightferry.entities.model_version import MANIFEST, ModelManifest, manifest_sha256

FOLDER = "model"
"""Below a run's artifacts."""
EXPERIMENT = "nightferry/"
"""Begins the name of the experiment that has a model's runs."""
_LONGEST_TAG = 8000


def upload_version(
    server: MlflowServer, name: str, folder: Path, manifest: ModelManifest, content: bytes, on_bytes: OnBytes | None
) -> tuple[int, tuple[str, ...]]:
    """Upload what is missing and create the version; its number and the names of what was uploaded.

    Raises as `MlflowServer`.
    """
    registry, sha256 = Registry(server, name), manifest_sha256(content)
    registry.begin()
    run, artifacts = _run(server, name, manifest.version, sha256)
    place = f"{registry.served(artifacts)}/{FOLDER}"
    uploaded = []
    held = Held(server, place)
    for file in manifest.files:
        if not held.has(file.name, file.size, file.sha256):
            with (folder / file.name).open("rb") as stream:
                server.upload(f"{place}/{file.name}", Body(stream, file.size, on_bytes))
            uploaded.append(file.name)
    if not held.has(MANIFEST, len(content), sha256):
        server.upload(f"{place}/{MANIFEST}", Body(io.BytesIO(content), len(content), on_bytes))
        uploaded.append(MANIFEST)
    with suppress(Refusal):  # for people who look at it
        server.post("runs/update", {"run_id": run, "status": "FINISHED", "end_time": _milliseconds()})
    number = registry.register(f"{artifacts}/{FOLDER}", run, tags_of(manifest, content))
    return number, (*uploaded, *(() if MANIFEST in uploaded else (MANIFEST,)))


def tags_of(manifest: ModelManifest, content: bytes) -> dict[str, str]:
    """The tags of a version."""
    tags = {VERSION: manifest.version, SHA256: manifest_sha256(content)}
    text = listing_text(listing_of(manifest, content))
    return tags | ({LISTING: text} if len(text) <= _LONGEST_TAG else {})


class Held:
    """What is in a folder of artifacts, and below it. Each folder is listed once."""

    def __init__(self, server: MlflowServer, place: str) -> None:
        self._server, self._place = server, place
        self._listed: dict[str, Mapping[str, int | None]] = {}

    def size(self, name: str) -> int | None:
        """A file's bytes; None: it is not there."""
        folder, _, base = f"{self._place}/{name}".rpartition("/")
        if folder not in self._listed:
            self._listed[folder] = self._server.artifacts(folder)
        return self._listed[folder].get(base)

    def has(self, name: str, size: int, sha256: str) -> bool:
        """Whether the file is there with this content."""
        if self.size(name) != size:
            return False
        digest = hashlib.sha256()
        try:
            self._server.download(f"{self._place}/{name}", digest.update)
        except Refusal as refusal:
            if refusal.code != MISSING:
                raise
            return False
        return digest.hexdigest() == sha256


class Body:
    """A body of a known length that is read as it is sent."""

    def __init__(self, stream: BinaryIO, size: int, on_bytes: OnBytes | None) -> None:
        self._stream, self._size, self._on_bytes = stream, size, on_bytes

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """The next bytes; b"" at the end."""
        piece = self._stream.read(size)
        if piece and self._on_bytes:
            self._on_bytes(len(piece))
        return piece


def _run(server: MlflowServer, name: str, version: str, sha256: str) -> tuple[str, str]:
    """The run that has these files, or a new one: its id, and where its artifacts are."""
    experiment = _experiment(server, f"{EXPERIMENT}{name}")
    search = {"experiment_ids": [experiment], "filter": f"tags.`{SHA256}` = '{sha256}'", "max_results": 1}
    found = server.post("runs/search", search).get("runs", [])
    if not found:
        tags = {VERSION: version, SHA256: sha256}
        body = {"experiment_id": experiment, "run_name": version, "start_time": _milliseconds(), "tags": as_tags(tags)}
        found = [server.post("runs/create", body)["run"]]
    return str(found[0]["info"]["run_id"]), str(found[0]["info"]["artifact_uri"])


def _experiment(server: MlflowServer, name: str) -> str:
    """An experiment's id; it is made where it is missing."""
    ask: Callable[[], Any] = lambda: server.get("experiments/get-by-name", {"experiment_name": name})  # noqa: E731
    try:
        return str(ask()["experiment"]["experiment_id"])
    except Refusal as refusal:
        if refusal.code != MISSING:
            raise
    try:
        return str(server.post("experiments/create", {"name": name})["experiment_id"])
    except Refusal as refusal:  # somebody else made it just now
        if refusal.code != EXISTS:
            raise
        return str(ask()["experiment"]["experiment_id"])


def _milliseconds() -> int:
    return int(time.time() * 1000)
