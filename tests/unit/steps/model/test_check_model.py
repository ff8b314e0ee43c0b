"""A model is opened as the service will open it, and held against what its author declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.ledger_entry import canonical
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.check_model import check_model

from tests.fakes.model_versions import linear_onnx, write_version
from tests.fakes.service_specs import digits_spec


def reason_of(folder: Path, **spec: Any) -> tuple[Reason, str]:
    with pytest.raises(Permanent) as failure:
        check_model(folder, digits_spec(**spec))
    return failure.value.reason, failure.value.sentence


def test_a_right_model_passes(tmp_path: Path):
    facts = check_model(write_version(tmp_path), digits_spec()).facts
    assert (facts["metrics"], facts["gates"], facts["labels"]) == ({"accuracy": 0.97}, {"accuracy": ">= 0.95"}, 3)
    assert facts["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert canonical(facts)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 1000, linear_onnx()[:-20]])
def test_what_is_not_onnx(tmp_path: Path, content: bytes):
    reason, sentence = reason_of(write_version(tmp_path, files={"model.onnx": content}))
    assert reason == Reason.MODEL_NOT_ONNX
    assert "\n" not in sentence


def tensor(name: str = "x", datatype: str = "FP32", shape: tuple[int, ...] = (-1, 4)) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


OUTPUT = tensor("probabilities", shape=(-1, 3))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"inputs": [tensor("image")]}, "x"),
        ({"inputs": [tensor(), tensor("y")]}, "no input y"),
        ({"inputs": [tensor(datatype="FP64")]}, "input x is declared FP64, the model's is FP32"),
        ({"inputs": [tensor(shape=(-1, 5))]}, "input x is declared [-1, 5], the model's is [-1, 4]"),
        ({"inputs": [tensor(shape=(-1, 2, 2))]}, "input x is declared [-1, 2, 2]"),
        ({"outputs": [tensor("scores", shape=(-1, 3))]}, "no output scores; it has probabilities"),
        ({"outputs": [tensor("probabilities", "INT64", (-1, 3))]}, "output probabilities is declared INT64"),
        ({"outputs": [tensor("probabilities", shape=(-1, 4))], "labels": list("abcd")}, "declared [-1, 4]"),
    ],
)
def test_a_signature_that_is_not_as_declared(tmp_path: Path, changes: dict[str, Any], named: str):
    reason, sentence = reason_of(write_version(tmp_path, **changes))
    assert reason == Reason.MODEL_SIGNATURE_WRONG
    assert named in sentence


@pytest.mark.parametrize(
    ("labels", "shape"), [(list("ab"), (-1, 3)), (list("abcd"), (-1, 3)), (list("abcd"), (-1, -1))]
)
def test_a_label_count_that_is_not_that_of_the_scores(tmp_path: Path, labels: list[str], shape: tuple[int, ...]):
    outputs = [tensor("probabilities", shape=shape)]
    reason, sentence = reason_of(write_version(tmp_path, labels=labels, outputs=outputs))
    assert reason == Reason.MODEL_LABELS_WRONG
    assert f"labels are {len(labels)}" in sentence


def test_sizes_left_open_agree_with_any(tmp_path: Path):
    outputs, inputs = [tensor("probabilities", shape=(-1, -1))], [tensor(shape=(-1, -1))]
    assert check_model(write_version(tmp_path, outputs=outputs, inputs=inputs), digits_spec())


@pytest.mark.parametrize(
    ("metrics", "named"),
    [
        ({"accuracy": 0.9499}, "0.9499"),
        ({}, "no metric accuracy"),
        ({"Accuracy": 0.99}, "no metric accuracy"),
        ({"accuracy": None}, "no metric accuracy"),
        ({"accuracy": float("nan")}, "nan"),
        ({"accuracy": float("inf")}, "inf"),
        ({"accuracy": "0.99"}, "'0.99'"),
        ({"accuracy": True}, "True"),
    ],
)
def test_a_metric_that_does_not_meet_the_gate(tmp_path: Path, metrics: dict[str, Any], named: str):
    reason, sentence = reason_of(write_version(tmp_path, metrics=metrics))
    assert reason == Reason.GATE_FAILED
    assert named in sentence
    assert ">= 0.95" in sentence


@pytest.mark.parametrize("metrics", [{}, {"accuracy": float("nan")}, {"accuracy": 0.1}])
def test_without_a_gate_any_metric_passes(tmp_path: Path, metrics: dict[str, Any]):
    facts = check_model(write_version(tmp_path, metrics=metrics), digits_spec(gates={})).facts
    assert facts["gates"] == {}
    assert canonical(facts)


LOSSES = {"auc": ">= 0.8", "loss": "<= 1.5e-1", "log_likelihood": "> -3"}


@pytest.mark.parametrize(
    ("metrics", "named"),
    [
        ({"auc": 0.79, "loss": 0.1, "log_likelihood": -2}, "auc >= 0.8: its auc is 0.79"),
        ({"auc": 0.9, "loss": 0.16, "log_likelihood": -2}, "loss <= 0.15: its loss is 0.16"),
        ({"auc": 0.9, "loss": 0.1, "log_likelihood": -3}, "log_likelihood > -3: its log_likelihood is -3"),
        ({"auc": 0.9, "losses": 0.1, "log_likelihood": -2}, "no metric loss (it has losses)"),
    ],
)
def test_any_metric_may_have_a_gate(tmp_path: Path, metrics: dict[str, Any], named: str):
    reason, sentence = reason_of(write_version(tmp_path, metrics=metrics), gates=LOSSES)
    assert reason == Reason.GATE_FAILED
    assert named in sentence


@pytest.mark.parametrize("value", [10**400, float("inf"), True, "0.9", [0.9]])
def test_what_is_no_number_that_can_be_compared_never_passes(tmp_path: Path, value: Any):
    reason, _ = reason_of(write_version(tmp_path, metrics={"auc": value}), gates={"auc": ">= 0.8"})
    assert reason == Reason.GATE_FAILED


def test_what_meets_all_its_gates_passes(tmp_path: Path):
    metrics = {"auc": 0.9, "loss": 0.1, "log_likelihood": -2.5, "beside": 1}
    facts = check_model(write_version(tmp_path, metrics=metrics), digits_spec(gates=LOSSES)).facts
    assert facts["metrics"] == {"auc": 0.9, "loss": 0.1, "log_likelihood": -2.5}
    assert facts["gates"]["loss"] == "<= 0.15"


def test_the_threshold_itself_passes(tmp_path: Path):
    assert check_model(write_version(tmp_path, metrics={"accuracy": 0.95}), digits_spec())


def test_gates_of_the_comparison_are_no_metrics(tmp_path: Path):
    """They are judged by the answers, when a release in use is there to be compared with."""
    gates = {"accuracy": ">= 0.95", "flips": "<= 5%", "p95": "<= 1.5x"}
    facts = check_model(write_version(tmp_path), digits_spec(gates=gates)).facts
    assert facts["gates"] == {"accuracy": ">= 0.95"}
