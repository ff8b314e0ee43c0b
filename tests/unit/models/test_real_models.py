"""Models that people really have: published, served, and equal to the library that trained them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from nightferry.steps.model.check_signature import check_signature
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.model.trial import try_here
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType as LightFloat
from onnxruntime.quantization import QuantType, quantize_dynamic
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from serving_app.app import create_app
from serving_app.settings import Settings

Tensors = list[dict[str, Any]]
OPSETS = {"": 17, "ai.onnx.ml": 3}
random = np.random.default_rng(0)
node = helper.make_node


def tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def published(folder: Path, model: ModelProto, inputs: Tensors, outputs: Tensors, **more: Any) -> Any:
    """Put the model through what publishing does, and return a client of the service that it starts."""
    data = model.SerializeToString()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(data)
    manifest = {
        "format": "onnx",
        "service": "m",
        "version": "v1",
        "created": "2026-01-01T00:00:00Z",
        "author": "tests",
        "files": [{"name": "model.onnx", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}],
        "model": "model.onnx",
        "inputs": inputs,
        "outputs": outputs,
        **more,
    }
    (folder / "model.json").write_text(json.dumps(manifest))
    check_signature(folder, read_manifest(folder)[0])
    report = try_here(folder)
    assert (report.missing, report.refused, report.faults, report.outside, report.dependent) == ("", "", (), "", "")
    return create_app(Settings(model_dir=folder)).test_client()


def answer(client: Any, arrays: dict[str, Any], declared: Tensors) -> dict[str, NDArray[Any]]:
    """Ask in JSON, NaN being null."""
    kinds = {each["name"]: each["datatype"] for each in declared}
    entries = [
        {"name": name, "datatype": kinds[name], "shape": list(np.shape(rows)), "data": without_nan(rows)}
        for name, rows in arrays.items()
    ]
    got = client.post("/v2/models/m/infer", json={"inputs": entries})
    assert got.status_code == 200, got.text
    return {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in got.json["outputs"]}


def without_nan(rows: Any) -> list[Any]:
    return [None if value != value else value for value in np.asarray(rows).reshape(-1).tolist()]


def test_a_pipeline_of_texts_and_missing_numbers(tmp_path: Path) -> None:
    """As for the passengers of the Titanic: sex and port are texts, and for some the age is not known."""
    count = 200
    numbers = np.column_stack([random.uniform(1, 80, count), random.uniform(5, 500, count)]).astype(np.float32)
    numbers[::5, 0] = np.nan
    sex, port = random.choice(["female", "male"], count), random.choice(["C", "Q", "S"], count)
    survived = ((sex == "female") ^ (random.random(count) < 0.2)).astype(int)
    rows = np.column_stack([numbers.astype(object), sex, port])
    pipeline = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), [0, 1]),
                ("texts", OneHotEncoder(handle_unknown="ignore"), [2, 3]),
            ]
        ),
        LogisticRegression(),
    ).fit(rows, survived)
    types = [
        *((name, FloatTensorType([None, 1])) for name in ("age", "fare")),
        *((name, StringTensorType([None, 1])) for name in ("sex", "port")),
    ]
    model = to_onnx(pipeline, initial_types=types, options={"zipmap": False}, target_opset=OPSETS)
    inputs = [
        tensor(name, kind, -1, 1)
        for name, kind in zip(("age", "fare", "sex", "port"), ("FP32",) * 2 + ("BYTES",) * 2, strict=True)
    ]
    outputs = [tensor("label", "INT64", -1), tensor("probabilities", "FP32", -1, 2)]
    client = published(tmp_path / "m", model, inputs, outputs, labels=["died", "survived"], rows="independent")
    asked = {each["name"]: rows[:20, i : i + 1] for i, each in enumerate(inputs)}
    got = answer(client, asked, inputs)
    np.testing.assert_allclose(got["probabilities"], pipeline.predict_proba(rows[:20]), atol=1e-5)
    assert got["label"].tolist() == pipeline.predict(rows[:20]).tolist()


def test_a_regressor(tmp_path: Path) -> None:
    x = random.standard_normal((200, 4)).astype(np.float32)
    trained = GradientBoostingRegressor(n_estimators=20, random_state=0).fit(x, x[:, 0] * 3 + x[:, 1] ** 2)
    inputs = [tensor("X", "FP32", -1, 4)]
    model = to_onnx(trained, x[:1], target_opset=OPSETS)
    client = published(tmp_path / "m", model, inputs, [tensor("variable", "FP32", -1, 1)], rows="independent")
    got = answer(client, {"X": x[:20]}, inputs)["variable"]
    np.testing.assert_allclose(got[:, 0], trained.predict(x[:20]), rtol=1e-4, atol=1e-4)


def test_lightgbm_with_missing_numbers(tmp_path: Path) -> None:
    x = random.standard_normal((300, 4)).astype(np.float32)
    kinds = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)
    x[random.random(x.shape) < 0.2] = np.nan
    trained = lightgbm.LGBMClassifier(n_estimators=10, num_threads=1, verbose=-1).fit(x, kinds)
    model = convert_lightgbm(trained, initial_types=[("x", LightFloat([None, 4]))], zipmap=False, target_opset=15)
    inputs = [tensor("x", "FP32", -1, 4)]
    outputs = [tensor("label", "INT64", -1), tensor("probabilities", "FP32", -1, 3)]
    client = published(tmp_path / "m", model, inputs, outputs, labels=["a", "b", "c"], rows="independent")
    got = answer(client, {"x": x[:30]}, inputs)
    np.testing.assert_allclose(got["probabilities"], trained.predict_proba(x[:30]), atol=1e-5)
    best = client.post("/score", json={"input": [without_nan(x[0])]}).json["result"][0][0][0]
    assert best[0] == "abc"[int(trained.predict(x[:1])[0])]


def test_a_classifier_of_texts(tmp_path: Path) -> None:
    texts = [
        "the cat sat",
        "a cat and a dog",
        "stocks fell today",
        "the market rose",
        "my dog sleeps",
        "shares and bonds",
    ]
    topics = ["animals", "animals", "money", "money", "animals", "money"]
    trained = make_pipeline(
        TfidfVectorizer(lowercase=False, token_pattern=r"[a-zA-Z]+"), LogisticRegression(C=100)
    ).fit(texts, topics)
    model = to_onnx(
        trained, initial_types=[("text", StringTensorType([None]))], options={"zipmap": False}, target_opset=OPSETS
    )
    inputs = [tensor("text", "BYTES", -1)]
    outputs = [tensor("label", "BYTES", -1), tensor("probabilities", "FP32", -1, 2)]
    client = published(tmp_path / "m", model, inputs, outputs, labels=["animals", "money"], rows="independent")
    asked = [*texts, "the dog and the market", "nothing known"]
    got = answer(client, {"text": np.array(asked)}, inputs)
    np.testing.assert_allclose(got["probabilities"], trained.predict_proba(asked), atol=1e-5)
    assert got["label"].tolist() == trained.predict(asked).tolist()


KERNEL = random.standard_normal((8, 3, 3, 3)).astype(np.float32) / 5
HEAD = random.standard_normal((5, 8, 1, 1)).astype(np.float32)
PICTURES = random.random((4, 3, 16, 16)).astype(np.float32)


def convolved(pictures: NDArray[Any]) -> NDArray[Any]:
    """What the network computes, written out with NumPy: [n, 5, 1, 1]."""
    windows = np.lib.stride_tricks.sliding_window_view(pictures.astype(np.float64), (3, 3), axis=(2, 3))
    hidden = np.maximum(np.einsum("nchwij,ocij->nohw", windows, KERNEL), 0)
    logits = np.einsum("nohw,po->nphw", hidden, HEAD[:, :, 0, 0]).mean(axis=(2, 3), keepdims=True)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def network(kind: int = TensorProto.FLOAT, rows: int | None = None) -> ModelProto:
    """Convolution, ReLU, a 1 × 1 convolution, the mean, softmax: SqueezeNet's end, [n, 5, 1, 1]."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    graph = helper.make_graph(
        [
            node("Conv", ["x", "kernel"], ["c"]),
            node("Relu", ["c"], ["r"]),
            node("Conv", ["r", "head"], ["h"]),
            node("GlobalAveragePool", ["h"], ["p"]),
            node("Softmax", ["p"], ["y"], axis=1),
        ],
        "network",
        [helper.make_tensor_value_info("x", kind, [rows, 3, 16, 16])],
        [helper.make_tensor_value_info("y", kind, [rows, 5, 1, 1])],
        [numpy_helper.from_array(KERNEL.astype(dtype), "kernel"), numpy_helper.from_array(HEAD.astype(dtype), "head")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


LABELS = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("name", "kind", "close"), [("FP32", TensorProto.FLOAT, 1e-5), ("FP16", TensorProto.FLOAT16, 1e-2)]
)
def test_a_convolutional_network(tmp_path: Path, name: str, kind: int, close: float) -> None:
    inputs, outputs = [tensor("x", name, -1, 3, 16, 16)], [tensor("y", name, -1, 5, 1, 1)]
    client = published(tmp_path / "m", network(kind), inputs, outputs, labels=LABELS, rows="independent")
    got = answer(client, {"x": PICTURES}, inputs)["y"]
    np.testing.assert_allclose(got, convolved(PICTURES), atol=close)
    best = client.post("/score", json={"input": PICTURES.tolist()}).json["result"][0]
    assert [row[0][0] for row in best] == [LABELS[i] for i in convolved(PICTURES)[:, :, 0, 0].argmax(axis=1)]


def test_a_convolutional_network_in_eight_bits(tmp_path: Path) -> None:
    """It is computed alone: its scale is taken from all rows, which publishing says if independence is declared."""
    from onnx import save

    save(network(), tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "int8.onnx", weight_type=QuantType.QUInt8)
    model = ModelProto.FromString((tmp_path / "int8.onnx").read_bytes())
    inputs, outputs = [tensor("x", "FP32", -1, 3, 16, 16)], [tensor("y", "FP32", -1, 5, 1, 1)]
    client = published(tmp_path / "m", model, inputs, outputs, labels=LABELS)
    got = answer(client, {"x": PICTURES}, inputs)["y"]
    np.testing.assert_allclose(got, convolved(PICTURES), atol=0.05)
    document = json.loads((tmp_path / "m" / "model.json").read_text())
    (tmp_path / "m" / "model.json").write_text(json.dumps({**document, "rows": "independent"}))
    assert "DynamicQuantizeLinear" in try_here(tmp_path / "m").dependent


def test_one_picture_at_a_time_as_published_networks_are_exported(tmp_path: Path) -> None:
    inputs, outputs = [tensor("x", "FP32", 1, 3, 16, 16)], [tensor("y", "FP32", 1, 5, 1, 1)]
    image = {"input": "x", "width": 16, "height": 16}
    client = published(tmp_path / "m", network(rows=1), inputs, outputs, labels=LABELS, image=image)
    got = answer(client, {"x": PICTURES[:1]}, inputs)["y"]
    np.testing.assert_allclose(got, convolved(PICTURES[:1]), atol=1e-5)
