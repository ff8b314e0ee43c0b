"""Everything is checked before the first byte is uploaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.model_version import manifest_sha256
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.model.publish_model import publish_model

from tests.fakes.memory_models import MemoryModels
from tests.fakes.model_versions import write_version


def test_a_version_is_published(tmp_path: Path):
    models, folder = MemoryModels(), write_version(tmp_path)
    sent: list[int] = []
    published = publish_model(folder, "digits", models, sent.append)
    content = (folder / "model.json").read_bytes()
    assert published.version == "2026-11-21-a"
    assert published.sha256 == manifest_sha256(content) == models.pin(None)[0].sha256
    assert set(published.uploaded) == {"model.onnx", "golden/0.bin", "model.json"}
    assert sum(sent) == published.size + len(content)


def test_again_uploads_nothing(tmp_path: Path):
    models, folder = MemoryModels(), write_version(tmp_path)
    first = publish_model(folder, "digits", models)
    again = publish_model(folder, "digits", models)
    assert (again.sha256, again.uploaded) == (first.sha256, ())


def test_a_version_with_other_content_is_refused(tmp_path: Path):
    models = MemoryModels()
    publish_model(write_version(tmp_path), "digits", models)
    before = dict(models.blobs)
    with pytest.raises(Permanent) as failure:
        publish_model(write_version(tmp_path, author="eva"), "digits", models)
    assert failure.value.reason == Reason.MODEL_EXISTS
    assert models.blobs == before


def no_manifest(folder: Path) -> None:
    (folder / "model.json").unlink()


def wrong_manifest(folder: Path) -> None:
    (folder / "model.json").write_text('{"format": "onnx"}')


def missing_file(folder: Path) -> None:
    (folder / "golden/0.bin").unlink()


def shorter_file(folder: Path) -> None:
    (folder / "golden/0.bin").write_bytes(b"")


def other_content(folder: Path) -> None:
    (folder / "golden/0.bin").write_bytes(b"ZERO")


def not_onnx(folder: Path) -> None:
    write_version(folder.parent, files={"model.onnx": b"no model"})


def other_signature(folder: Path) -> None:
    write_version(folder.parent, inputs=[{"name": "x", "datatype": "FP32", "shape": [-1, 7]}])


def other_labels(folder: Path) -> None:
    write_version(folder.parent, labels=["a"])


def other_service(folder: Path) -> None:
    write_version(folder.parent, service="letters")


def unlisted_model(folder: Path) -> None:
    write_version(folder.parent, model="other.onnx")


def outside(folder: Path) -> None:
    write_version(folder.parent, model="../x")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_manifest, Reason.MODEL_MANIFEST_INVALID),
        (wrong_manifest, Reason.MODEL_MANIFEST_INVALID),
        (unlisted_model, Reason.MODEL_MANIFEST_INVALID),
        (outside, Reason.MODEL_MANIFEST_INVALID),
        (other_service, Reason.MODEL_MANIFEST_INVALID),
        (missing_file, Reason.MODEL_INCOMPLETE),
        (shorter_file, Reason.MODEL_INCOMPLETE),
        (other_content, Reason.MODEL_CHECKSUM_WRONG),
        (not_onnx, Reason.MODEL_NOT_ONNX),
        (other_signature, Reason.MODEL_SIGNATURE_WRONG),
        (other_labels, Reason.MODEL_LABELS_WRONG),
    ],
)
def test_nothing_is_uploaded_when_something_is_wrong(tmp_path: Path, spoil: Any, reason: Reason):
    models, folder = MemoryModels(), write_version(tmp_path)
    spoil(folder)
    with pytest.raises(Permanent) as failure:
        publish_model(folder, "digits", models)
    assert failure.value.reason == reason
    assert models.blobs == {}


@pytest.mark.parametrize("name", ["../escape.onnx", "/etc/passwd", "a/../../b", ".hidden", "a//b", "model.json"])
def test_a_file_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str):
    folder = write_version(tmp_path)
    manifest = (folder / "model.json").read_text().replace('"golden/0.bin"', f'"{name}"')
    (folder / "model.json").write_text(manifest)
    with pytest.raises(Permanent) as failure:
        publish_model(folder, "digits", MemoryModels())
    assert failure.value.reason == Reason.MODEL_MANIFEST_INVALID


def test_storage_down(tmp_path: Path):
    models = MemoryModels()
    models.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob is down.")
    with pytest.raises(Temporary):
        publish_model(write_version(tmp_path), "digits", models)
