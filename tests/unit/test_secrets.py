"""Secrets are planted wherever people or other systems can put one, and looked for in everything that is written.

Each plant has its control: with masking turned off the same way shows the secret, so the look is at the right place.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightferry import deployer, masking
from nightferry.cli import main
from nightferry.clients import connect
from nightferry.clients.buildkit.failure import explain
from nightferry.clients.buildkit.progress import BuildProgress
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.clients.git.source import GitSource
from nightferry.clients.registry.oci import OciRegistry
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.ledger_entry import GENESIS, Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent
from nightferry.settings import Settings
from nightferry.steps.record import ledger as ledgers

from tests.fakes import http_registry
from tests.fakes.a_release import a_decision
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.service_specs import digits_content
from tests.fakes.still_clock import StillClock

SECRET = "hunter2"
ADDRESS = f"https://ada:{SECRET}@host.example/app"
SIGNED = f"https://a.blob.example/models?sv=1&sig={SECRET}&se=2"
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET};EndpointSuffix=core.example"


class Scene:
    """A folder, pytest's helpers, and a ledger that the command reads."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, screen: pytest.CaptureFixture[str]) -> None:
        self.folder, self.patch, self.screen, self.store = folder, patch, screen, MemoryLedger()
        patch.setattr(connect, "ledger_store", lambda settings: self.store)
        patch.setenv("NIGHTFERRY_SERVICES", str(folder))

    def command(self, *words: str) -> str:
        """All that the command prints."""
        main(words)
        shown = self.screen.readouterr()
        return shown.out + shown.err

    def service_file(self, **changes: Any) -> str:
        """What `services check` says of a file with these values, to people and to programs."""
        (self.folder / "digits.yaml").write_text(yaml.safe_dump(digits_content(**changes)), encoding="utf-8")
        return self.command("services", "check") + self.command("services", "check", "--json")


def said_by(call: Callable[[], object]) -> str:
    """The sentence of the failure."""
    with pytest.raises(NightferryError) as failure:
        call()
    return f"{failure.value} {failure.value.sentence} {failure.value!r}"


def storage(scene: Scene, **given: str) -> str:
    settings = Settings(scene.folder, scene.folder, {f"NIGHTFERRY_{name}": value for name, value in given.items()})
    return said_by(lambda: connect.storage(settings))


def git_says(scene: Scene, words: str) -> str:
    """A remote's own error text, as git repeats it."""
    program = scene.folder / "git"
    asks = 'case "$*" in *fetch*|*ls-remote*) ;; *) exit 0 ;; esac'
    program.write_text(f"#!/bin/sh\n{asks}\necho '{words}' >&2\nexit 128\n")
    program.chmod(0o755)
    scene.patch.setenv("PATH", str(scene.folder), prepend=os.pathsep)
    return said_by(lambda: GitSource("https://host.example/app", scene.folder, scene.folder).pin("main", "app", None))


def registry_says(scene: Scene, status: int, words: str) -> str:
    with http_registry.running() as served:
        served.broken, served.says = status, words
        return said_by(lambda: OciRegistry().config(image(served.host)))


def image(host: str) -> ImageRef:
    return ImageRef(f"{host}/a", "sha256:" + "a" * 64)


def build_says(scene: Scene, words: str) -> str:
    """The build's log and the sentence about it."""
    log = StringIO()
    progress = BuildProgress(log)
    data = base64.b64encode(words.encode()).decode()
    progress.feed(json.dumps({"logs": [{"vertex": "one", "data": data}]}))
    progress.feed(json.dumps({"vertexes": [{"digest": "one", "name": "[packages 2/3] RUN pip", "error": "exit 1"}]}))
    request = BuildRequest(scene.folder / "Dockerfile", "serving", {}, {})
    return log.getvalue() + explain(progress, request, "unix:///x", scene.folder / "log").sentence


def recorded(scene: Scene) -> str:
    ledgers.append(
        scene.store,
        StillClock(),
        service="digits",
        kind=Kind.STEP,
        key="one",
        release=None,
        actor="ada",
        reason=Reason.SUCCEEDED,
        sentence=f"Fetched {ADDRESS}.",
        data={"from": [SIGNED], "deep": {"er": CONNECTION}},
    )
    return b"".join(scene.store.blobs.values()).decode()


def old_record(scene: Scene, *words: str) -> str:
    """What the command shows of an entry that was written before secrets were masked."""
    decision = a_decision()
    source = decision.candidate.source.model_copy(update={"repository": ADDRESS})
    candidate = decision.candidate.model_copy(update={"source": source})
    entry = LedgerEntry(
        sequence=1,
        time="2026-11-21T02:00:00Z",
        service="digits",
        kind=Kind.DECISION,
        key=decision.key,
        release=decision.release,
        actor=decision.actor,
        reason=decision.reason,
        sentence=f"Took {SIGNED}.",
        data=decision.model_copy(update={"candidate": candidate}).to_json(),
        previous=GENESIS,
    ).sealed()
    scene.store.create("digits/000000000001.json", entry.to_bytes())
    return scene.command(*words)


def unforeseen(scene: Scene) -> str:
    """An error that nobody foresaw, on the command line and in a deployer's pod."""

    def fail(*_: object) -> int:
        raise RuntimeError(f"no {CONNECTION}")

    scene.patch.setattr(connect, "ledger_store", fail)
    log = StringIO()
    handler = logging.StreamHandler(log)
    deployer.log.addHandler(handler)
    try:
        deployer._run(fail, argparse.Namespace())
    finally:
        deployer.log.removeHandler(handler)
    return log.getvalue() + scene.command("history", "digits")


PLANTS: dict[str, Callable[[Scene], str]] = {
    "service file: a value": lambda scene: scene.service_file(gates={"accuracy": f"password={SECRET}"}),
    "service file: a key": lambda scene: scene.service_file(**{ADDRESS: "x"}),
    "service file: an address": lambda scene: scene.service_file(source={"repository": f" {ADDRESS}"}),
    "service file: a path": lambda scene: scene.service_file(source={"path": f"/token={SECRET}"}),
    "git: the address": lambda scene: said_by(
        lambda: GitSource(f"https://ada:{SECRET}@127.0.0.1:1/app", scene.folder, scene.folder).pin("main", "app", None)
    ),
    "git: the remote's words": lambda scene: git_says(scene, f"fatal: Authentication failed for {ADDRESS}"),
    "git: a header": lambda scene: git_says(scene, f"fatal: refused Authorization: Basic {SECRET}"),
    "registry: busy": lambda scene: registry_says(scene, 503, f"upstream {SIGNED} failed"),
    "registry: refuses": lambda scene: registry_says(scene, 403, f"token={SECRET} is no longer valid"),
    "storage: the string instead of its file": lambda scene: storage(scene, STORAGE_CONNECTION_FILE=CONNECTION),
    "storage: a signature in the address": lambda scene: storage(
        scene, STORAGE_URL=SIGNED.replace("https://", "http://")
    ),
    "build: a package index": lambda scene: build_says(scene, f"Looking in indexes: {ADDRESS}/simple"),
    "request: its reason": lambda scene: str(ReleaseRequest(reason=f"because of {ADDRESS}").to_json()),
    "record: an entry": recorded,
    "old record: history": lambda scene: old_record(scene, "history", "digits"),
    "old record: history --json": lambda scene: old_record(scene, "history", "digits", "--json"),
    "old record: show": lambda scene: old_record(scene, "show", "digits-2026-11-21.1"),
    "old record: show --json": lambda scene: old_record(scene, "show", "digits-2026-11-21.1", "--json"),
    "an error that nobody foresaw": unforeseen,
}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Scene:
    return Scene(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_secret_is_in_nothing_that_is_written(scene: Scene, plant: str):
    written = PLANTS[plant](scene)
    assert masking.MASK in written or "would be on record" in written
    assert SECRET not in written


@pytest.mark.parametrize("plant", PLANTS)
def test_control_without_masking_the_planted_secret_is_found(scene: Scene, plant: str):
    scene.patch.setattr(masking, "_SHAPES", ())
    assert SECRET in PLANTS[plant](scene)


def test_json_stays_json_when_a_secret_is_masked(scene: Scene):
    shown = json.loads(old_record(scene, "show", "digits-2026-11-21.1", "--json"))
    assert shown["decision"]["candidate"]["source"]["repository"] == "https://***@host.example/app"


def test_an_error_keeps_its_masked_sentence_when_it_travels():
    import pickle

    fault = Permanent(Reason.REQUEST_INVALID, f"No {ADDRESS}.")
    assert pickle.loads(pickle.dumps(fault)).sentence == "No https://***@host.example/app."
