"""Everything is checked before the first byte is uploaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.model_version import manifest_sha256
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.model.publish_model import MOST_GOLDEN, MOST_PINNED, publish_model

from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.model_versions import write_version
from tests.fakes.still_clock import StillClock

pytestmark = pytest.mark.usefixtures("trial_here")
CLOCK = StillClock("2026-11-21T01:00:00+00:00")


def test_a_version_is_published(tmp_path: Path):
    models, folder = MemoryModels(), write_version(tmp_path)
    sent: list[int] = []
    published = publish_model(folder, "digits", models, CLOCK, on_bytes=sent.append)
    content = (folder / "model.json").read_bytes()
    assert published.version == "2026-11-21-a"
    assert published.sha256 == manifest_sha256(content) == models.pin("2026-11-21-a")[0].sha256
    assert set(published.uploaded) == {"model.onnx", "golden/0.bin", "model.json"}
    assert sum(sent) == published.size + len(content)


def test_again_uploads_nothing(tmp_path: Path):
    models, folder = MemoryModels(), write_version(tmp_path)
    first = publish_model(folder, "digits", models, CLOCK)
    again = publish_model(folder, "digits", models, CLOCK)
    assert (again.sha256, again.uploaded) == (first.sha256, ())


def test_a_version_with_other_content_is_refused(tmp_path: Path):
    models = MemoryModels()
    publish_model(write_version(tmp_path), "digits", models, CLOCK)
    before = dict(models.blobs)
    with pytest.raises(Permanent) as failure:
        publish_model(write_version(tmp_path, author="eva"), "digits", models, CLOCK)
    assert failure.value.reason == Reason.MODEL_EXISTS
    assert models.blobs == before


def test_a_model_of_the_future_is_refused(tmp_path: Path):
    """Beyond what two clocks may be apart it is a mistake, which would win every night until then."""
    models = MemoryModels()
    with pytest.raises(Permanent) as failure:
        publish_model(write_version(tmp_path, created="2026-11-21T01:10:01Z"), "digits", models, CLOCK)
    assert failure.value.reason == Reason.MODEL_CREATED_IN_FUTURE
    assert models.blobs == {}
    assert publish_model(write_version(tmp_path, created="2026-11-21T01:10:00Z"), "digits", models, CLOCK).newest


def test_a_version_that_will_not_be_the_newest_is_told(tmp_path: Path):
    models = MemoryModels()
    for version, created in (("new", "2026-11-21T00:00:00Z"), ("typo", "2062-01-01T00:00:00Z")):
        place = write_version(tmp_path, version, created=created)
        models.publish(place, *read_manifest(place))
    old = publish_model(write_version(tmp_path, "old", created="2026-11-20T00:00:00Z"), "digits", models, CLOCK)
    assert not old.newest
    (note,) = old.notes
    assert "old is not the newest: new was created" in note
    assert "nightferry release digits --model old" in note
    newest = publish_model(write_version(tmp_path, "newest", created="2026-11-21T00:30:00Z"), "digits", models, CLOCK)
    assert (newest.newest, newest.notes) == (True, ())


def test_labels_may_be_null_as_the_service_takes_them(tmp_path: Path):
    assert publish_model(write_version(tmp_path, labels=None), "digits", MemoryModels(), CLOCK).uploaded


@pytest.mark.parametrize(
    "changes",
    [
        {"golden": [{"inputs": [], "label": "a"}] * (MOST_GOLDEN + 1)},
        {"files": {"model.onnx": b"x"} | {f"weights/{number}": b"" for number in range(MOST_PINNED)}},
    ],
    ids=["golden examples", "files"],
)
def test_more_files_than_a_release_can_carry_are_refused(tmp_path: Path, changes: Any):
    with pytest.raises(Permanent) as failure:
        publish_model(write_version(tmp_path, **changes), "digits", MemoryModels(), CLOCK)
    assert failure.value.reason == Reason.MODEL_TOO_MANY_FILES
    assert str(max(MOST_GOLDEN, MOST_PINNED) if "golden" in changes else MOST_PINNED) in failure.value.sentence


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


def other_answer(folder: Path) -> None:
    inputs = [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 0, 0, 0]}]
    write_version(folder.parent, golden=[{"inputs": inputs, "label": "b"}])


def picture_of_bytes(folder: Path) -> None:
    inputs = [{"name": "x", "datatype": "UINT8", "shape": [-1, 4]}]
    write_version(folder.parent, inputs=inputs, image={"input": "x", "width": 2, "height": 2, "mode": "L"})


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
        (other_answer, Reason.MODEL_GOLDEN_WRONG),
        (picture_of_bytes, Reason.MODEL_MANIFEST_INVALID),
    ],
)
def test_nothing_is_uploaded_when_something_is_wrong(tmp_path: Path, spoil: Any, reason: Reason):
    models, folder = MemoryModels(), write_version(tmp_path)
    spoil(folder)
    with pytest.raises(Permanent) as failure:
        publish_model(folder, "digits", models, CLOCK)
    assert failure.value.reason == reason
    assert models.blobs == {}


@pytest.mark.parametrize("name", ["../escape.onnx", "/etc/passwd", "a/../../b", ".hidden", "a//b", "model.json"])
def test_a_file_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str):
    folder = write_version(tmp_path)
    manifest = (folder / "model.json").read_text().replace('"golden/0.bin"', f'"{name}"')
    (folder / "model.json").write_text(manifest)
    with pytest.raises(Permanent) as failure:
        publish_model(folder, "digits", MemoryModels(), CLOCK)
    assert failure.value.reason == Reason.MODEL_MANIFEST_INVALID


def test_storage_down(tmp_path: Path):
    models = MemoryModels()
    models.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob is down.")
    with pytest.raises(Temporary):
        publish_model(write_version(tmp_path), "digits", models, CLOCK)
