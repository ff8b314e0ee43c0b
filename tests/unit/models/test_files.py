"""A model that nobody but its app opens: published, fetched and checked as files."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.check_model import check_model
from nightferry.steps.model.describing.publish import publish_described
from nightferry.steps.model.describing.said import Said
from nightferry.steps.model.describing.version_folder import Described
from nightferry.steps.model.fetch_model import fetch_model
from nightferry.steps.model.publish_model import PublishedModel, publish_model

from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.service_specs import digits_spec
from tests.fakes.still_clock import StillClock

RIGHT = '{"request": {"post": "/predict", "json": {"rows": [1]}}, "answer": {"json": {"churn": [0.5]}}}\n'


class Desk:
    """Somebody's folder, and the repository that it is published to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.models, self.clock = folder, MemoryModels(), StillClock()

    def write(self, name: str, content: bytes | str = b"weights") -> Path:
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def publish(self, path: Path, **said: Any) -> tuple[Described, PublishedModel]:
        def upload(folder: Path) -> PublishedModel:
            return publish_model(folder, "digits", self.models, self.clock, stock=False)

        given = Said(author="ana", **said)
        return publish_described(path, "digits", given, self.models, self.clock, upload, stock=False)

    def refused(self, path: Path, **said: Any) -> Permanent:
        with pytest.raises(Permanent) as raised:
            self.publish(path, **said)
        assert self.models.listings() == []
        return raised.value

    def fetched(self, version: str) -> Path:
        pinned, _ = self.models.pin(version)
        return fetch_model(pinned, self.models, self.folder / "work")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class Writes:
    """A pickle that writes a file when it is opened."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.file}",))


def test_a_pickle_that_acts_when_it_is_opened_leaves_no_trace(desk: Desk) -> None:
    trace = desk.folder / "trace"
    content = pickle.dumps(Writes(trace))
    model = desk.write("model.pkl", content)
    _, published = desk.publish(model, metrics={"accuracy": 0.99})
    folder = desk.fetched(published.version)
    check_model(folder, digits_spec(source={"path": "app"}))
    assert (folder / "model.pkl").read_bytes() == content
    assert not trace.exists()
    pickle.loads((folder / "model.pkl").read_bytes())  # the control: it does act
    assert trace.exists()


def test_a_folder_is_published_as_it_is(desk: Desk) -> None:
    for name in ("net/a.bin", "net/vocabulary.txt", "net/.hidden", "net/__pycache__/x.pyc"):
        desk.write(name)
    described, _ = desk.publish(desk.folder / "net")
    assert [file["name"] for file in described.document["files"]] == ["a.bin", "vocabulary.txt"]
    assert described.document["format"] == "files"


def test_the_same_content_is_the_same_version(desk: Desk) -> None:
    model = desk.write("model.joblib")
    first, _ = desk.publish(model, metrics={"auc": 0.9})
    again, published = desk.publish(model, metrics={"auc": 0.9})
    assert (again.document, published.uploaded) == (first.document, ())


def test_gates_apply_although_nothing_is_opened(desk: Desk) -> None:
    _, published = desk.publish(desk.write("model.joblib"), metrics={"auc": 0.7})
    spec = digits_spec(source={"path": "app"}, gates={"auc": ">= 0.8"})
    with pytest.raises(Permanent) as raised:
        check_model(desk.fetched(published.version), spec)
    assert raised.value.reason is Reason.GATE_FAILED


def test_the_stock_service_refuses_it_by_name(desk: Desk) -> None:
    _, published = desk.publish(desk.write("model.joblib"))
    with pytest.raises(Permanent) as raised:
        check_model(desk.fetched(published.version), digits_spec(gates={}))
    assert raised.value.reason is Reason.MODEL_NOT_ONNX
    assert "app of its own" in raised.value.sentence


def test_exchanges_are_its_golden_examples(desk: Desk) -> None:
    described, _ = desk.publish(desk.write("model.joblib"), examples=desk.write("e.jsonl", RIGHT * 2))
    assert described.document["golden"] == [json.loads(RIGHT)] * 2


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        (RIGHT + "{\n", "line 2"),
        (RIGHT + '{"request": {"post": "predict"}, "answer": {"status": 200}}\n', "line 2"),
        ('{"request": {"post": "/predict"}}\n', "has no answer"),
        ('{"inputs": []}\n', "no exchange"),
        ("", "no examples"),
    ],
)
def test_examples_that_are_wrong_are_named_by_line(desk: Desk, examples: str, said: str) -> None:
    fault = desk.refused(desk.write("model.joblib"), examples=desk.write("e.jsonl", examples))
    assert fault.reason is Reason.MODEL_EXAMPLES_WRONG
    assert said in fault.sentence


def test_a_table_is_refused_with_the_form_that_is_wanted(desk: Desk) -> None:
    fault = desk.refused(desk.write("model.joblib"), examples=desk.write("e.csv", "a,label\n1,yes\n"))
    assert '"request"' in fault.sentence


@pytest.mark.parametrize(
    ("name", "said"),
    [("my model.joblib", "'my model.joblib'"), ("modèle.joblib", "modèle"), ("a" * 200 + ".pkl", "characters")],
)
def test_names_that_cannot_be_are_refused_with_what_to_rename(desk: Desk, name: str, said: str) -> None:
    fault = desk.refused(desk.write(name))
    assert said in fault.sentence
    assert "rename it" in fault.sentence


def test_an_empty_model_is_refused(desk: Desk) -> None:
    fault = desk.refused(desk.write("model.joblib", b""))
    assert fault.reason is Reason.MODEL_INCOMPLETE
    assert "0 bytes" in fault.sentence


def test_a_link_out_of_the_folder_is_refused(desk: Desk) -> None:
    desk.write("net/a.bin")
    (desk.folder / "net" / "b.bin").symlink_to(desk.write("secret"))
    assert "outside the folder" in desk.refused(desk.folder / "net").sentence


@pytest.mark.parametrize("said", [{"labels": ("a", "b")}, {"scores": "logits"}, {"answer": "y"}])
def test_what_is_said_of_onnx_alone_is_refused(desk: Desk, said: dict[str, Any]) -> None:
    assert "leave it out" in desk.refused(desk.write("model.joblib"), **said).sentence


def test_a_model_that_is_not_there_is_said(desk: Desk) -> None:
    assert desk.refused(desk.folder / "nothing.pkl").reason is Reason.MODEL_NOT_FOUND
