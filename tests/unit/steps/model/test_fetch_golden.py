"""Fetching golden examples: they and model.json, never the model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.fetch_golden import fetch_golden

from tests.fakes.memory.memory_models import MemoryModels

PICTURE, MODEL = b"png", b"onnx" * 1000


def listed(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.fixture
def models() -> MemoryModels:
    manifest = {
        "format": "onnx",
        "service": "digits",
        "version": "v1",
        "created": "2026-11-20T00:00:00Z",
        "author": "tests",
        "files": [listed("model.onnx", MODEL), listed("golden/0.png", PICTURE)],
        "model": "model.onnx",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}],
        "golden": [{"image": "golden/0.png", "label": "0"}, {"inputs": [], "label": "1"}],
    }
    models = MemoryModels()
    models.blobs = {
        "v1/model.onnx": MODEL,
        "v1/golden/0.png": PICTURE,
        "v1/model.json": json.dumps(manifest).encode(),
    }
    return models


@pytest.fixture
def pinned(models: MemoryModels) -> PinnedModel:
    return models.pin("v1")[0]


def test_the_model_stays_where_it_is(models: MemoryModels, pinned: PinnedModel, tmp_path: Path) -> None:
    manifest = fetch_golden(pinned, models, tmp_path / "golden")
    assert manifest.version == "v1"
    found = sorted(str(path.relative_to(tmp_path / "golden")) for path in tmp_path.rglob("*") if path.is_file())
    assert found == ["golden/0.png", "model.json"]
    assert (tmp_path / "golden/golden/0.png").read_bytes() == PICTURE


def test_a_manifest_that_changed(models: MemoryModels, pinned: PinnedModel, tmp_path: Path) -> None:
    other = pinned.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(Permanent) as caught:
        fetch_golden(other, models, tmp_path)
    assert caught.value.reason == Reason.MODEL_OVERWRITTEN


def test_an_example_that_is_not_as_listed(models: MemoryModels, tmp_path: Path) -> None:
    models.blobs["v1/golden/0.png"] = b"gif"
    pinned = models.pin("v1")[0]
    with pytest.raises(Permanent) as caught:
        fetch_golden(pinned, models, tmp_path)
    assert caught.value.reason == Reason.MODEL_CHECKSUM_WRONG
