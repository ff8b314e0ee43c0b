"""Models that are not in Blob storage: published, listed, fetched and released with the same words; and their storage
killed in the middle."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from nightferry.clients.s3 import stream as s3_stream
from nightferry.clients.s3.connection import key_text
from nightferry.clients.s3.models import S3Models
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.steps.model.fetch_model import fetch_model
from nightferry.steps.model.model_folder import read_manifest

from tests.e2e.given_when_then import eventually
from tests.fakes.model_versions import write_version
from tests.fakes.real_s3 import KEY, RealS3, real_s3
from tests.fakes.service_specs import digits_content
from tests.fakes.storage_door import door

pytestmark = pytest.mark.sandbox
BUCKET = "models"
LARGE = 24 * s3_stream.PIECE + 11


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[RealS3]:
    """A storage of this test's own, beside the sandbox's."""
    with real_s3(tmp_path / "objects") as running:
        running.service().client.create_bucket(Bucket=BUCKET)
        yield running


@pytest.mark.alone
def test_a_model_in_s3_whose_storage_is_killed_while_it_is_fetched(storage: RealS3, tmp_path: Path) -> None:
    """kill -9 in the middle: back within the patience of one try, the download goes on; away for longer, the try is
    given up for another one, and nothing half is left."""
    data = random.Random(1).randbytes(LARGE)
    place = write_version(tmp_path, "v1", {"model.onnx": data})
    S3Models(storage.service(), BUCKET, "digits").publish(place, *read_manifest(place))
    with door(f"127.0.0.1:{storage.port}") as opened:
        models = S3Models(storage.service(f"http://{opened.address}"), BUCKET, "digits")
        pinned, _ = models.pin("v1")
        moved: list[int] = []

        def kill_once(count: int) -> None:
            if count == s3_stream.PIECE and count not in moved:
                # What is under way breaks off, too: the door had the whole answer.
                opened.habits.cuts = [8 * s3_stream.PIECE]
                storage.kill()
                threading.Timer(1.0, storage.start).start()
            moved.append(count)

        opened.habits.cuts = [4 * s3_stream.PIECE]
        folder = fetch_model(pinned, models, tmp_path / "work", kill_once)
        assert (folder / "model.onnx").read_bytes() == data
        assert sum(moved) == LARGE + (folder / "model.json").stat().st_size
    eventually(lambda: S3Models(storage.service(), BUCKET, "digits").pin("v1"), 30, "the storage is back")

    storage.kill()
    s3_models = S3Models(storage.service(), BUCKET, "digits")
    with pytest.raises(Temporary) as given_up:
        fetch_model(pinned, s3_models, tmp_path / "another")
    assert given_up.value.reason is Reason.STORAGE_UNAVAILABLE
    assert not [file for file in (tmp_path / "another").rglob("*") if file.is_file() and file.suffix != ".lock"]
    storage.start()
    assert (fetch_model(pinned, s3_models, tmp_path / "another") / "model.onnx").read_bytes() == data


def test_models_are_published_and_listed_with_the_same_words(storage: RealS3, tmp_path: Path) -> None:
    services = tmp_path / "services"
    services.mkdir()
    content = digits_content(model={"repository": f"s3://{BUCKET}/team a/Größe"})
    (services / "digits.yaml").write_text(json.dumps(content), encoding="utf-8")
    key = tmp_path / "key"
    key.write_text(key_text(KEY))
    key.chmod(0o600)
    given = {"NIGHTFERRY_S3_URL": storage.url, "NIGHTFERRY_S3_KEY_FILE": str(key), "NIGHTFERRY_SERVICES": str(services)}

    def nightferry(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nightferry", *words]
        return subprocess.run(command, env=os.environ | given, capture_output=True, text=True, timeout=300, check=False)

    folder = write_version(tmp_path, "v1")
    published = nightferry("models", "publish", "digits", str(folder), "--json")
    assert published.returncode == 0, published.stderr
    assert json.loads(published.stdout)["uploaded"] == ["model.onnx", "golden/0.bin", "model.json"]
    listed = json.loads(nightferry("models", "list", "digits", "--json").stdout)
    assert [(one["version"], one["author"]) for one in listed] == [("v1", "ana")]
    again = json.loads(nightferry("models", "publish", "digits", str(folder), "--json").stdout)
    assert again["uploaded"] == []
    storage.kill()
    away = nightferry("models", "list", "digits")
    assert away.returncode != 0
    assert "Traceback" not in away.stderr
    assert KEY.secret not in away.stderr
