"""Every example, and an app as `nightferry init` begins it, released as its README says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.app_stage import AppStage, Ended, run, side_by_side
from tests.e2e.stage import ROOT

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(1800), pytest.mark.xdist_group("releases")]
EXAMPLES = {"churn": "model.joblib", "sentiment": "model.onnx", "tutorial": "model.pkl"}
BEGUN = "begun"


class Shop:
    """The examples, each with its service on the sandbox and its trained model."""

    def __init__(self, folder: Path) -> None:
        self.stages = {name: AppStage(folder / name, f"e2e-{name}") for name in (*EXAMPLES, BEGUN)}

    def open(self) -> None:
        """Make the repositories, train, add and publish."""
        for stage in self.stages.values():
            stage.remove()
        for name in EXAMPLES:
            self._example(name)
        self._begun()

    def _example(self, name: str) -> None:
        stage, source = self.stages[name], ROOT / "examples" / name
        trained = stage.folder / "trained"
        run(source / "train.py", "--out", trained, folder=stage.folder)
        shutil.copytree(source, stage.repository / "examples" / name, ignore=shutil.ignore_patterns("__pycache__"))
        stage.git("init", "-q", "-b", "main")
        stage.commit("An example")
        text = (source / "service.yaml").read_text().replace(f"service: {name}", f"service: {stage.service}")
        text = text.replace(f"/{name}}}", f"/{stage.service}}}").replace(f'/{name}"', f'/{stage.service}"')
        text = text.replace("repository: ., ref: HEAD", f'repository: "{stage.repository}", ref: main')
        file = stage.folder / "service.yaml"
        file.write_text(text)
        examples = trained / ("examples.csv" if name == "sentiment" else "examples.jsonl")
        self._publish(stage, file, trained / EXAMPLES[name], trained / "metrics.json", examples)

    def _begun(self) -> None:
        stage = self.stages[BEGUN]
        done = stage.nightferry(
            "init", stage.service, "--from", "app", "--owner", "e2e", "--out", str(stage.repository)
        )
        assert done.returncode == 0, done.stderr
        here = stage.repository
        run("train.py", folder=here)
        self._publish(
            stage, here / f"{stage.service}.yaml", here / "model.joblib", here / "metrics.json", here / "examples.jsonl"
        )

    def _publish(self, stage: AppStage, file: Path, model: Path, metrics: Path, examples: Path) -> None:
        for words in (
            ["services", "add", str(file)],
            *[["models", "publish", stage.service, str(model), "--metrics", str(metrics), "--examples", str(examples)]],
        ):
            done = stage.nightferry(*words)
            assert done.returncode == 0, (words, done.stdout, done.stderr)

    def ask(self, name: str, path: str, body: Any) -> Any:
        answer = requests.post(f"{self.stages[name].url()}{path}", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = Shop(tmp_path_factory.mktemp("examples"))
    try:
        shop.open()
        yield shop
    finally:
        for stage in shop.stages.values():
            stage.remove()


@pytest.fixture(scope="module")
def released(shop: Shop) -> dict[str, Ended]:
    return side_by_side(shop.stages.values())


def test_all_are_released_and_users_get_right_answers(shop: Shop, released: dict[str, Ended]) -> None:
    """Given an app or a model each, when it is released, then users get what its author measured."""
    assert {name: one.outcome for name, one in released.items()} == dict.fromkeys(released, "released"), released
    for name in ("churn", BEGUN):
        folder = shop.stages[name].folder / "trained" if name == "churn" else shop.stages[name].repository
        first = json.loads((folder / "examples.jsonl").read_text().splitlines()[0])
        answer = shop.ask(name, "/predict", first["request"]["json"])["churn"]
        assert answer == pytest.approx(first["answer"]["json"]["churn"], abs=1e-3)
    tensors = [{"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": ["I love this shop"]}]
    outputs = shop.ask("sentiment", "/v2/models/e2e-sentiment/infer", {"inputs": tensors})["outputs"]
    assert ["glad"] in [output["data"] for output in outputs]


def test_a_second_release_of_each_is_unchanged(shop: Shop, released: dict[str, Ended]) -> None:
    again = side_by_side(shop.stages.values())
    assert {name: one.decision["reason"] for name, one in again.items()} == dict.fromkeys(again, "unchanged")


def test_a_service_without_a_source_is_the_stock_service_of_the_installation(
    shop: Shop, released: dict[str, Ended]
) -> None:
    pinned = released["e2e-sentiment"].decision["candidate"]["source"]
    assert (pinned["repository"], len(pinned["commit"])) == ("serving_app", 64)
    assert shop.stages["sentiment"].version()["source"] == pinned["commit"]


def test_apps_stand_on_the_base_that_they_ask_for(shop: Shop, released: dict[str, Ended]) -> None:
    bases = {name: one.decision["candidate"]["base_image"] for name, one in released.items()}
    settings = shop.stages["churn"].settings
    assert bases["e2e-churn"] == settings.require("BASE_IMAGE_DEBIAN_13")
    assert bases["e2e-begun"] == settings.require("BASE_IMAGE")
    packages = released["e2e-churn"].decision["candidate"]["lock"]["packages"]
    assert "deb:libgomp1" in packages
