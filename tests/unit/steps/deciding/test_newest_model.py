"""A model that says it was made in the future does not hide what is published until then."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.deciding.newest_model import newest_model
from nightferry.steps.model.model_folder import read_manifest

from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.model_versions import write_version

NOW = dt.datetime(2026, 11, 21, 1, tzinfo=dt.UTC)


def published(folder: Path, **created: str) -> MemoryModels:
    """A repository with these versions, as they were published before publishing looked at the time."""
    models = MemoryModels()
    for version, time in created.items():
        place = write_version(folder, version, {"model.onnx": version.encode()}, created=time)
        models.publish(place, *read_manifest(place))
    return models


def test_what_was_created_last_is_the_newest(tmp_path: Path):
    models = published(tmp_path, a="2026-11-20T00:00:00Z", b="2026-11-21T00:00:00Z")
    newest = newest_model(models, "models", NOW)
    assert (newest.version, newest.waiting) == ("b", "")


def test_a_version_of_the_future_counts_when_its_time_has_come(tmp_path: Path):
    models = published(tmp_path, a="2026-11-20T00:00:00Z", typo="2062-11-20T00:00:00Z")
    newest = newest_model(models, "models", NOW)
    assert newest.version == "a"
    assert "typo says that it was created in the future" in newest.waiting
    assert newest_model(models, "models", dt.datetime(2062, 11, 21, tzinfo=dt.UTC)).version == "typo"


def test_a_clock_that_is_ten_minutes_fast_is_no_future(tmp_path: Path):
    models = published(tmp_path, a="2026-11-20T00:00:00Z", b="2026-11-21T01:10:00Z", c="2026-11-21T01:10:01Z")
    assert newest_model(models, "models", NOW).version == "b"


def test_a_future_alone_is_no_model(tmp_path: Path):
    with pytest.raises(Permanent) as failure:
        newest_model(published(tmp_path, typo="2062-11-20T00:00:00Z"), "models", NOW)
    assert failure.value.reason == Reason.MODEL_NONE
    assert "typo" in failure.value.sentence
