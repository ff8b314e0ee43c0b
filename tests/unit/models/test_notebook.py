"""From a notebook: an estimator is converted, compared with itself, and published with what it says of its examples."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nightferry
import numpy as np
import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.model_versions import linear_onnx, write_version

random = np.random.default_rng(0)
ROWS = random.random((200, 4)).astype(np.float32)
KINDS = np.where(ROWS[:, 0] > 0.5, "high", "low")


pytestmark = pytest.mark.usefixtures("services")


def golden(models: MemoryModels, version: str) -> Any:
    return models.pin(version)[1].golden


def test_a_classifier_is_published_with_its_labels_and_answers(models: MemoryModels) -> None:
    model = LogisticRegression(C=100).fit(ROWS, KINDS)
    version = nightferry.publish("digits", model, examples=(ROWS, KINDS), metrics={"accuracy": 0.99})
    manifest = models.pin(version)[1]
    assert (manifest.labels, dict(manifest.metrics)) == (("high", "low"), {"accuracy": 0.99})
    assert [one["label"] for one in manifest.golden] == list(model.predict(ROWS[:100]))


class Frame:
    """As much of a DataFrame as scikit-learn and publishing look at."""

    columns, shape = ("age", "fare"), (len(ROWS), 2)

    def __getitem__(self, name: str) -> Any:
        return SimpleNamespace(to_numpy=lambda: ROWS[:, self.columns.index(name)])

    def __array__(self, *_: Any, **__: Any) -> Any:
        return ROWS[:, :2]

    def __len__(self) -> int:
        return len(ROWS)


def test_columns_of_a_frame_are_one_input_where_the_model_takes_but_one(models: MemoryModels) -> None:
    model = LinearRegression().fit(ROWS[:, :2], ROWS[:, 2])
    version = nightferry.publish("digits", model, examples=Frame())
    (tensor,) = models.pin(version)[1].inputs
    assert (tensor.name, tensor.shape) == ("rows", (-1, 2))


def test_a_pipeline_of_texts_and_missing_numbers(models: MemoryModels) -> None:
    rows = np.array([["pro", 2.0], ["free", 30.0], ["pro", np.nan], ["free", 1.0]] * 5, dtype=object)
    columns = ColumnTransformer([("plan", OneHotEncoder(), [0]), ("months", SimpleImputer(), [1])])
    model = make_pipeline(columns, LogisticRegression()).fit(rows, ["yes", "no", "yes", "no"] * 5)
    version = nightferry.publish("digits", model, examples=rows[:4])
    manifest = models.pin(version)[1]
    assert [tensor.datatype for tensor in manifest.inputs] == ["BYTES", "FP32"]
    assert [one["label"] for one in manifest.golden] == ["yes", "no", "yes", "no"]


def test_a_regressors_answers_are_numbers(models: MemoryModels) -> None:
    model = LinearRegression().fit(ROWS, ROWS @ [1, 2, 3, 4])
    version = nightferry.publish("digits", model, examples=ROWS[:3])
    answers = [one["outputs"][0]["data"][0] for one in golden(models, version)]
    assert np.allclose(answers, ROWS[:3] @ [1, 2, 3, 4], atol=1e-3)


def test_again_it_is_the_same_version(models: MemoryModels) -> None:
    model = LogisticRegression().fit(ROWS, KINDS)
    first = nightferry.publish("digits", model, examples=ROWS)
    assert nightferry.publish("digits", model, examples=ROWS) == first


def test_an_onnx_model_and_a_folder_are_taken_too(models: MemoryModels, tmp_path: Path) -> None:
    import onnx

    version = nightferry.publish("digits", onnx.load_from_string(linear_onnx()), labels=["a", "b", "c"], version="v7")
    assert version == "v7"
    assert nightferry.publish("digits", write_version(tmp_path)) == "2026-11-21-a"


class Own(BaseEstimator):
    """Of a class that no converter knows."""

    def fit(self, rows: Any, answers: Any) -> Own:
        return self

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))


@pytest.mark.parametrize(
    ("model", "examples", "reason", "named"),
    [
        (Own(), ROWS, Reason.MODEL_NOT_ONNX, "cannot convert Own"),
        (FunctionTransformer(), None, Reason.MODEL_NOT_ONNX, "neither a path"),
        (LinearRegression().fit(ROWS, ROWS[:, 0]), None, Reason.MODEL_EXAMPLES_WRONG, "examples=(rows, answers)"),
        (LinearRegression().fit(ROWS, ROWS[:, 0]), ROWS[:0], Reason.MODEL_EXAMPLES_WRONG, "no rows"),
        (LinearRegression().fit(ROWS, ROWS[:, 0]), [1, 2], Reason.MODEL_EXAMPLES_WRONG, "a row for each"),
        ("/nowhere/model.onnx", None, Reason.MODEL_NOT_FOUND, "does not exist"),
        (3, None, Reason.MODEL_NOT_ONNX, "int is neither a path"),
    ],
)
def test_what_cannot_be_published_is_refused(
    models: MemoryModels, model: Any, examples: Any, reason: Reason, named: str
) -> None:
    with pytest.raises(Permanent) as failure:
        nightferry.publish("digits", model, examples=examples)
    assert failure.value.reason == reason
    assert named in failure.value.sentence
    assert not models.listings()


def test_a_converted_model_that_answers_otherwise_is_refused(models: MemoryModels) -> None:
    """ONNX computes in FP32, in which these two numbers are one."""
    rows = np.array([[2.0**24], [2.0**24 + 1]])
    with pytest.raises(Permanent) as failure:
        nightferry.publish("digits", LinearRegression().fit(rows, [0, 1]), examples=rows)
    assert failure.value.reason == Reason.MODEL_NOT_SERVABLE
    assert "1 of 2 examples otherwise than the original" in failure.value.sentence
    assert not models.listings()


@pytest.mark.parametrize("answers", [[True, False], [0.0, 1.0], [3, 7], ["a", "b"]], ids=str)
def test_classes_may_be_of_any_kind(models: MemoryModels, answers: list[Any]) -> None:
    model = LogisticRegression(C=100).fit(ROWS, [answers[int(row[0] > 0.5)] for row in ROWS])
    version = nightferry.publish("digits", model, examples=ROWS, metrics={"auc": np.float32(0.5), "n": np.int64(3)})
    manifest = models.pin(version)[1]
    assert sorted(manifest.labels) == sorted(str(answer) for answer in answers)
    assert dict(manifest.metrics) == {"auc": 0.5, "n": 3}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"examples": ROWS[:, :2]}, Reason.MODEL_EXAMPLES_WRONG),
        ({"examples": ()}, Reason.MODEL_EXAMPLES_WRONG),
        ({"examples": ROWS, "metrics": {"auc": float("nan")}}, Reason.MODEL_MANIFEST_INVALID),
        ({"examples": ROWS, "metrics": {"auc": [1]}}, Reason.MODEL_MANIFEST_INVALID),
        ({"examples": ROWS, "labels": ["a", "a"]}, Reason.MODEL_LABELS_WRONG),
    ],
)
def test_what_is_said_wrongly_is_refused(models: MemoryModels, given: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(Permanent) as failure:
        nightferry.publish("digits", LogisticRegression().fit(ROWS, KINDS), **given)
    assert failure.value.reason == reason
    assert not models.listings()


def test_several_answers_for_a_row_are_refused(models: MemoryModels) -> None:
    with pytest.raises(Permanent) as failure:
        nightferry.publish("digits", LinearRegression().fit(ROWS, ROWS[:, :2]), examples=ROWS)
    assert "several numbers" in failure.value.sentence


def test_nothing_that_is_given_is_passed_over(models: MemoryModels, tmp_path: Path) -> None:
    folder = write_version(tmp_path)
    for said in ({"metrics": {"auc": 0.5}}, {"examples": "x.csv"}, {"version": "mine"}):
        with pytest.raises(Permanent):
            nightferry.publish("digits", folder, **said)
    with pytest.raises(Permanent) as failure:
        nightferry.publish("digits", folder / "model.onnx", examples=(ROWS, KINDS))
    assert "are a path" in failure.value.sentence
    assert not models.listings()
