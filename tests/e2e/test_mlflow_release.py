"""Releases whose model is in MLflow, whose server is killed -9 in the middle."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from nightferry.clients.clock import SystemClock
from nightferry.clients.mlflow.models import MlflowModels
from nightferry.clients.mlflow.server import PIECE, MlflowServer
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.steps.deciding.decide import decide
from nightferry.steps.model.fetch_model import fetch_model
from nightferry.steps.model.model_folder import read_manifest

from tests.e2e.own_names import own_name
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.memory.memory_source import MemorySource
from tests.fakes.mlflow.real_mlflow import RealMlflow, running
from tests.fakes.model_versions import write_version
from tests.fakes.service_specs import digits_content, digits_spec
from tests.fakes.storage_door import door

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(900)]
LARGE = 24 * PIECE + 11


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealMlflow]:
    """A server of these tests' own, beside the sandbox's."""
    with running(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


def alias(server: MlflowServer, name: str, number: int) -> None:
    server.post("registered-models/alias", {"name": name, "alias": "champion", "version": str(number)})


def decided(models: MlflowModels, address: str) -> Decision:
    return decide(
        digits_spec(model={"repository": address}),
        ReleaseRequest(),
        key="night:2026-11-29",
        actor="ana",
        models=models,
        source=MemorySource(),
        ledger=MemoryLedger(),
        base_image="registry/base@sha256:" + "1" * 64,
        recipe="2" * 64,
        clock=SystemClock(),
    )


@pytest.mark.alone
def test_a_release_whose_mlflow_is_killed_while_its_model_is_fetched(mlflow: RealMlflow, tmp_path: Path) -> None:
    """The try is given up for another one and leaves nothing half; the next one fetches what was decided, although the
    alias has moved meanwhile and the server is another process."""
    name, data = own_name("digits"), random.Random(1).randbytes(LARGE)
    direct = MlflowServer(mlflow.url)
    place = write_version(tmp_path, "v1", {"model.onnx": data})
    MlflowModels(direct, name).publish(place, *read_manifest(place))
    alias(direct, name, 1)
    work = tmp_path / "work"
    with door(urlsplit(mlflow.url).netloc) as opened:
        models = MlflowModels(MlflowServer(f"http://{opened.address}"), name, "champion")
        pinned = decided(models, f"mlflow://{name}@champion").candidate.model
        assert (pinned.version, pinned.etags["model.json"]) == ("v1", f"1:{pinned.sha256}")
        newer = write_version(tmp_path, "v2", {"model.onnx": b"newer"})
        MlflowModels(direct, name).publish(newer, *read_manifest(newer))
        alias(direct, name, 2)
        moved: list[int] = []

        def kill_once(count: int) -> None:
            if not moved:
                opened.habits.cuts = []
                mlflow.kill()
            moved.append(count)

        opened.habits.cuts = [4 * PIECE]
        with pytest.raises(Temporary) as given_up:
            fetch_model(pinned, models, work, kill_once)
        assert given_up.value.reason is Reason.STORAGE_UNAVAILABLE
        assert moved
        assert not [file for file in work.rglob("*") if file.is_file() and file.suffix != ".lock"]
        mlflow.start()
        folder = fetch_model(pinned, models, work)
        assert (folder / "model.onnx").read_bytes() == data
        assert decided(models, f"mlflow://{name}@champion").candidate.model.version == "v2"


def test_models_are_published_and_listed_with_the_same_words(mlflow: RealMlflow, tmp_path: Path) -> None:
    services, name = tmp_path / "services", own_name("it's digits")
    services.mkdir()
    content = digits_content(model={"repository": f"mlflow://{name}@champion"})
    (services / "digits.yaml").write_text(json.dumps(content), encoding="utf-8")
    given = {"NIGHTFERRY_MLFLOW_URL": mlflow.url, "NIGHTFERRY_SERVICES": str(services)}

    def nightferry(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nightferry", *words]
        return subprocess.run(command, env=os.environ | given, capture_output=True, text=True, timeout=300, check=False)

    folder = write_version(tmp_path, "v1")
    published = nightferry("models", "publish", "digits", str(folder))
    assert published.returncode == 0, published.stderr
    assert "champion" in published.stderr
    assert json.loads(nightferry("models", "list", "digits", "--json").stdout) == []
    alias(MlflowServer(mlflow.url), name, 1)
    listed = json.loads(nightferry("models", "list", "digits", "--json").stdout)
    assert [(one["version"], one["author"]) for one in listed] == [("v1", "ana")]
    again = json.loads(nightferry("models", "publish", "digits", str(folder), "--json").stdout)
    assert again["uploaded"] == []
