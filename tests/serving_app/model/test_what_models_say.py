"""Missing values, numbers that JSON has not, scores in the forms that models give them, and what a model refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from onnx import TensorProto, helper, numpy_helper

from serving_app.app import create_app
from serving_app.errors import NotQuick, StartError
from serving_app.inputs import tensors
from serving_app.inputs.infer import InferProtocol
from serving_app.settings import Settings
from tests.serving_app.models import picture, score_body, text, write

node = helper.make_node
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def model(
    folder: Path,
    nodes: list[Any],
    inputs: list[tuple[str, int, list[Any]]],
    outputs: list[tuple[str, int, list[Any]]],
    constants: dict[str, Any] | None = None,
    **changes: Any,
) -> FlaskClient:
    """Write a model `m` of these tensors (name, type, shape) and return a client of it."""
    names = {FLOAT: "FP32", INT64: "INT64"}

    def declared(tensors: list[tuple[str, int, list[Any]]]) -> list[dict[str, Any]]:
        return [
            {"name": name, "datatype": names[kind], "shape": [-1 if size is None else size for size in shape]}
            for name, kind, shape in tensors
        ]

    graph = helper.make_graph(
        nodes,
        "m",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    manifest = {"service": "m", "version": "v1", "inputs": declared(inputs), "outputs": declared(outputs)}
    return create_app(Settings(model_dir=write(folder, graph, manifest | changes))).test_client()


def infer(client: FlaskClient, shape: list[int], data: Any, datatype: str = "FP32", name: str = "x") -> Any:
    entry = {"name": name, "datatype": datatype, "shape": shape, "data": data}
    return client.post("/v2/models/m/infer", json={"inputs": [entry]})


@pytest.fixture
def same(tmp_path: Path) -> FlaskClient:
    """A model that gives what it gets."""
    return model(tmp_path / "m", [node("Identity", ["x"], ["y"])], [("x", FLOAT, [None, 2])], [("y", FLOAT, [None, 2])])


@pytest.mark.parametrize(
    ("shape", "data"), [([1, 2], [None, 1.5]), ([2, 2], [[1, None], [None, 2]]), ([1, 2], [None] * 2)]
)
def test_null_is_a_missing_number(same: FlaskClient, shape: list[int], data: list[Any]) -> None:
    expected = ["NaN" if value is None else value for value in np.array(data, object).flat]
    assert infer(same, shape, data).json["outputs"][0]["data"] == expected


def test_nan_in_binary_is_a_missing_number_and_comes_back(same: FlaskClient) -> None:
    head = json.dumps(
        {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    sent = np.array([np.nan, 2], np.float32).tobytes()
    answer = same.post("/v2/models/m/infer", data=head + sent, headers={"Inference-Header-Content-Length": len(head)})
    assert answer.status_code == 200
    assert answer.data.endswith(sent)


@pytest.mark.parametrize("data", [[True, None], ["1", None], [[1], None]])
def test_what_is_no_number_is_not_missing_either(same: FlaskClient, data: list[Any]) -> None:
    answer = infer(same, [1, 2], data)
    assert (answer.status_code, answer.json["field"]) == (400, "inputs[0].data")


def test_an_integer_is_never_missing(tmp_path: Path) -> None:
    client = model(
        tmp_path / "m", [node("Identity", ["x"], ["y"])], [("x", INT64, [None, 2])], [("y", INT64, [None, 2])]
    )
    assert infer(client, [1, 2], [1, None], "INT64").status_code == 400


def test_each_number_that_json_has_not_is_named(tmp_path: Path) -> None:
    client = model(tmp_path / "m", [node("Log", ["x"], ["y"])], [("x", FLOAT, [None, 2])], [("y", FLOAT, [None, 2])])
    answer = infer(client, [2, 2], [0, -1, 1, None])
    assert answer.json["outputs"][0]["data"] == ["-Infinity", "NaN", 0.0, "NaN"]
    client = model(
        tmp_path / "r",
        [node("Reciprocal", ["x"], ["y"])],
        [("x", FLOAT, [None, 2])],
        [("y", FLOAT, [None, 2])],
        labels=["a", "b"],
    )
    assert infer(client, [1, 2], [0, 1]).json["outputs"][0]["data"] == ["Infinity", 1.0]
    best = client.post("/score", json={"input": [[None, 0.5]]}).json["result"][0]
    assert best == [[["b", 200.0], ["a", "NaN"]]]


# Scores in the forms that models give them.


@pytest.mark.parametrize("shape", [[None, 1], [None]])
@pytest.mark.parametrize(("scores", "operator"), [("probabilities", "Sigmoid"), ("logits", "Identity")])
def test_one_score_of_two_labels_is_that_of_the_second(
    tmp_path: Path, shape: list[Any], scores: str, operator: str
) -> None:
    nodes = [node(operator, ["x"], ["s"]), node("Reshape", ["s", "form"], ["y"])]
    form = np.array([-1] if shape == [None] else [-1, 1], np.int64)
    client = model(
        tmp_path / "m",
        nodes,
        [("x", FLOAT, [None, 1])],
        [("y", FLOAT, shape)],
        {"form": form},
        labels=["no", "yes"],
        scores=scores,
    )
    best = client.post("/score", json={"input": [[2.0], [-2.0]]}).json["result"][0]
    assert [row[0][0] for row in best] == ["yes", "no"]
    assert best[0][0][1] == pytest.approx(88.08, abs=0.01)
    assert best[1][0][1] == pytest.approx(88.08, abs=0.01)


def test_scores_may_have_sizes_of_one_behind_them(tmp_path: Path) -> None:
    """As SqueezeNet's: [1, 1000, 1, 1]."""
    client = model(
        tmp_path / "m",
        [node("Reshape", ["x", "form"], ["y"])],
        [("x", FLOAT, [1, 3])],
        [("y", FLOAT, [1, 3, 1, 1])],
        {"form": np.array([1, 3, 1, 1])},
        labels=["a", "b", "c"],
    )
    assert client.post("/score", json={"input": [[0.1, 0.7, 0.2]]}).json["result"][0][0][0][0] == "b"


def test_the_label_may_come_before_the_scores(tmp_path: Path) -> None:
    """As skl2onnx exports classifiers."""
    client = model(
        tmp_path / "m",
        [node("ArgMax", ["x"], ["label"], axis=1, keepdims=0), node("Identity", ["x"], ["probabilities"])],
        [("x", FLOAT, [None, 2])],
        [("label", INT64, [None]), ("probabilities", FLOAT, [None, 2])],
        labels=["a", "b"],
    )
    assert client.post("/score", json={"input": [[0.1, 0.9]]}).json["result"][0][0][0][0] == "b"


# Warming up.


def embedding(folder: Path, **changes: Any) -> FlaskClient:
    """Ten words of two numbers each, and the mean of those that are asked for."""
    nodes = [node("Gather", ["words", "x"], ["vectors"]), node("ReduceMean", ["vectors"], ["y"], axes=[1], keepdims=0)]
    words = {"words": np.arange(20, dtype=np.float32).reshape(10, 2)}
    return model(folder, nodes, [("x", INT64, [None, None])], [("y", FLOAT, [None, 2])], words, **changes)


def test_a_golden_example_warms_up_what_zeros_do_not(tmp_path: Path) -> None:
    """This model takes three at least."""
    golden = [{"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1] * 6}], "outputs": []}]
    nodes = [node("Slice", ["x", "two", "three", "one"], ["s"]), node("Reshape", ["s", "form"], ["y"])]
    constants = {"one": np.array([1]), "two": np.array([2]), "three": np.array([3]), "form": np.array([-1, 1, 1])}
    words: Any = (nodes, [("x", FLOAT, [None, None])], [("y", FLOAT, [None, 1, 1])], constants)
    constants["form"] = np.array([1, 1, 1])
    with pytest.raises(StartError, match="the model fails on an input of zeros"):
        model(tmp_path / "zeros", *words)
    assert infer(model(tmp_path / "m", *words, golden=golden), [1, 3], [1, 2, 3]).status_code == 200


def test_a_picture_model_that_takes_any_size_is_warmed_up_with_its_own(tmp_path: Path) -> None:
    client = model(
        tmp_path / "m",
        [
            node("Conv", ["x", "w"], ["c"]),
            node("GlobalAveragePool", ["c"], ["p"]),
            node("Flatten", ["p"], ["y"]),
        ],
        [("x", FLOAT, [None, 1, None, None])],
        [("y", FLOAT, [None, 2])],
        {"w": np.ones((2, 1, 3, 3), np.float32)},
        image={"input": "x", "width": 4, "height": 4, "mode": "L"},
        labels=["a", "b"],
        scores="logits",
    )
    assert client.post("/score", json=score_body(picture(9))).status_code == 200


# What only the model can find wrong.


def test_an_index_that_the_model_does_not_have_is_the_callers_mistake(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    client = embedding(tmp_path / "m")
    answer = infer(client, [1, 2], [1, 100], "INT64")
    assert (answer.status_code, answer.json["field"]) == (400, "inputs")
    assert "idx=100" in answer.json["detail"]
    assert infer(client, [1, 2], [1, 9], "INT64").status_code == 200
    assert "onnxruntime" not in capfd.readouterr().err


def test_sizes_that_do_not_go_together_are_the_callers_mistake(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inputs = [("x", FLOAT, [None, None]), ("z", FLOAT, [None, None])]
    client = model(tmp_path / "m", [node("Add", ["x", "z"], ["y"])], inputs, [("y", FLOAT, [None, None])])
    entries = [
        {"name": name, "datatype": "FP32", "shape": [1, size], "data": [1] * size}
        for name, size in (("x", 2), ("z", 3))
    ]
    answer = client.post("/v2/models/m/infer", json={"inputs": entries})
    assert (answer.status_code, answer.json["field"]) == (400, "inputs")
    assert "2 by 3" in answer.json["detail"]
    assert "onnxruntime" not in answer.json["detail"] + capfd.readouterr().err


def test_a_start_that_fails_in_an_unknown_way_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*words: Any, **more: Any) -> Any:
        raise MemoryError("no memory\nat all")

    monkeypatch.setattr(InferProtocol, "__init__", broken)
    with pytest.raises(StartError, match=r"model.onnx cannot be started \(MemoryError\): no memory$"):
        embedding(tmp_path / "m")


# What takes memory or time before the model is asked.


@pytest.mark.parametrize("item", [b"[]", b"{}", b"[1]"])
def test_lists_are_counted_before_they_are_parsed_also_where_sizes_are_open(
    tmp_path: Path, item: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = embedding(tmp_path / "m")
    monkeypatch.setattr(tensors.orjson, "loads", lambda body: pytest.fail("parsed"))
    body = b'{"inputs": [' + b",".join([item] * ((8 << 20) // (len(item) + 1))) + b"]}"
    answer = client.post("/v2/models/m/infer", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["field"]) == (400, "body")


def test_a_large_request_of_open_sizes_is_taken(tmp_path: Path) -> None:
    assert infer(embedding(tmp_path / "m"), [200, 2000], [[7] * 2000] * 200, "INT64").status_code == 200


def test_large_pictures_are_not_for_the_loop(picture_dir: Path) -> None:
    service = create_app(Settings(model_dir=picture_dir)).extensions["serving"].service
    small, large = (json.dumps(score_body(picture(0, size=size))).encode() for size in (200, 4000))
    many = json.dumps(score_body(*[picture(0, size=200)] * 2)).encode()
    entry = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text(picture(0, size=4000))]}
    assert service.read_score(small, quick=True).arrays
    for body, read in (
        (large, service.read_score),
        (many, service.read_score),
        (json.dumps({"inputs": [entry]}).encode(), service.read_infer),
    ):
        assert len(body) < 64 * 1024
        with pytest.raises(NotQuick):
            read(body, quick=True)
        assert read(body).arrays
