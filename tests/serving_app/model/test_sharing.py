"""Requests that share an inference: nobody gets another's rows, whatever is sent beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray

from serving_app.app import create_app
from serving_app.inputs.infer import InferProtocol
from serving_app.model import batching
from serving_app.service import Service
from serving_app.settings import Settings
from tests.serving_app.models import write_sum

Arrays = dict[str, NDArray[Any]]
GOOD: Arrays = {"a": np.array([[7.0, 7.0]], np.float32), "b": np.array([[1, 1]])}
ROUNDS = 200


def tensors(a: int, b: int, *, value: int = 1) -> list[dict[str, Any]]:
    """An infer request's inputs of so many rows each."""
    return [
        {"name": "a", "datatype": "FP32", "shape": [a, 2], "data": [value] * 2 * a},
        {"name": "b", "datatype": "INT64", "shape": [b, 2], "data": [value] * 2 * b},
    ]


def in_binary(a: int, b: int) -> tuple[bytes, int]:
    """The same in binary, and the size of its JSON."""
    entries = tensors(a, b)
    for entry, size in zip(entries, (8 * a, 16 * b), strict=True):
        del entry["data"]
        entry["parameters"] = {"binary_data_size": size}
    head = json.dumps({"inputs": entries}).encode()
    return head + bytes(8 * a + 16 * b), len(head)


@pytest.mark.parametrize(("a", "b"), [(1, 2), (2, 1), (3, 8)])
def test_inputs_of_different_rows_are_refused_by_name(sum_client: FlaskClient, a: int, b: int) -> None:
    body, size = in_binary(a, b)
    for answer in (
        sum_client.post("/v2/models/sum/infer", json={"inputs": tensors(a, b)}),
        sum_client.post("/v2/models/sum/infer", data=body, headers={"Inference-Header-Content-Length": str(size)}),
    ):
        assert (answer.status_code, answer.json["field"]) == (400, "inputs")
        assert f"a has {a}" in answer.json["detail"]
        assert f"b has {b}" in answer.json["detail"]


def test_an_input_of_a_fixed_size_is_no_row(tmp_path: Path) -> None:
    inputs = [
        {"name": "a", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "b", "datatype": "INT64", "shape": [1, 2]},
    ]
    client = create_app(Settings(model_dir=write_sum(tmp_path / "m", inputs=inputs))).test_client()
    answer = client.post("/v2/models/sum/infer", json={"inputs": tensors(3, 1)})
    assert answer.json["outputs"][0]["data"] == [2] * 6


@pytest.fixture
def service(tensor_dir: Path) -> Service:
    parts = create_app(Settings(model_dir=tensor_dir)).extensions["serving"]
    found: Service = parts.service
    return found


def attack() -> Iterator[list[Arrays]]:
    """What the loop joins while one caller sends inputs of different rows, and others send good ones: each pair of the
    attacker's has as many rows of both inputs together."""
    foreign = {"a": np.full((1, 2), 1000, np.float32), "b": np.full((2, 2), 2000)}
    pair = {"a": np.full((2, 2), 3000, np.float32), "b": np.full((1, 2), 4000)}
    numbers = np.random.default_rng(0)
    for _ in range(ROUNDS):
        batch = [GOOD, foreign, GOOD, pair, GOOD]
        yield [batch[i] for i in numbers.permutation(len(batch))]


def wrong_answers(service: Service, requests: list[Arrays]) -> int:
    """How many of the good requests get anything else than their own sum."""
    outputs = service.run_all(requests)
    return sum(
        request is GOOD and not np.array_equal(output["sum"], [[8, 8]])
        for request, output in zip(requests, outputs, strict=True)
    )


def broadcast(request: Arrays, run: batching.Run) -> batching.Arrays:
    """As a model does that takes inputs of different rows."""
    rows = max(len(array) for array in request.values())
    return run({name: np.resize(array, (rows, 2)) for name, array in request.items()})


@pytest.fixture
def taking_all(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    run = service._run
    monkeypatch.setattr(service, "_run", lambda arrays: broadcast(arrays, run))
    return service


def test_no_caller_gets_anothers_rows_even_if_nothing_was_checked_before(taking_all: Service) -> None:
    assert sum(wrong_answers(taking_all, requests) for requests in attack()) == 0


def test_without_the_check_the_attack_works(taking_all: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_rows", lambda arrays, first: len(next(iter(arrays.values()))))
    assert sum(wrong_answers(taking_all, requests) for requests in attack()) > 0


def test_without_its_check_the_protocol_lets_the_attack_through(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InferProtocol, "_check_rows", lambda self, arrays: None)
    call = service.read_infer(json.dumps({"inputs": tensors(1, 2)}).encode())
    assert {name: len(array) for name, array in call.arrays.items()} == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "other",
    [
        {"a": GOOD["a"]},
        {**GOOD, "a": np.ones((1, 3), np.float32)},
        {**GOOD, "a": np.ones((1, 2), np.float64)},
        {**GOOD, "a": np.array(1.0, np.float32)},
    ],
    ids=["other names", "other columns", "another type", "no rows at all"],
)
def test_what_cannot_be_joined_is_computed_alone(other: Arrays) -> None:
    computed: list[batching.Arrays] = []

    def run(arrays: batching.Arrays) -> batching.Arrays:
        computed.append(arrays)
        return {"out": np.zeros(1)}

    assert len(batching.run_together([GOOD, other, GOOD], run)) == 3
    assert [arrays is one for arrays, one in zip(computed, (GOOD, other, GOOD), strict=True)] == [True] * 3


def test_outputs_that_are_not_a_row_for_each_are_computed_alone() -> None:
    def run(arrays: batching.Arrays) -> batching.Arrays:
        return {"out": arrays["a"], "mean": arrays["a"].mean(axis=0, keepdims=True)}

    other = {**GOOD, "a": np.array([[1.0, 1.0]], np.float32)}
    means = [float(outputs["mean"][0, 0]) for outputs in batching.run_together([GOOD, other], run)]
    assert means == [7.0, 1.0]
