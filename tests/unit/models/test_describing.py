"""A model without model.json is described, by itself and by its author, and published as it is described."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.describing.describe import describe
from nightferry.steps.model.describing.examples import read_examples
from nightferry.steps.model.describing.publish import publish_described
from nightferry.steps.model.describing.said import Said
from nightferry.steps.model.describing.version_folder import Described
from nightferry.steps.model.publish_model import publish_model
from onnx import ModelProto, TensorProto, external_data_helper, helper, load_from_string, save_model
from PIL import Image
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.model_versions import linear_onnx
from tests.fakes.still_clock import StillClock
from tests.serving_app.models import write_shades

OPSETS = {"": 17, "ai.onnx.ml": 3}
PLANS = np.array([["pro", 2.0], ["free", 30.0], ["pro", np.nan], ["free", 1.0]] * 5, dtype=object)
STAYS = np.array(["yes", "no", "yes", "no"] * 5)


def churn(options: dict[str, Any] | None = None) -> ModelProto:
    """A pipeline of a text and a number that may be missing, with labels that are texts."""
    columns = ColumnTransformer([("plan", OneHotEncoder(), [0]), ("months", SimpleImputer(), [1])])
    model = make_pipeline(columns, LogisticRegression()).fit(PLANS, STAYS)
    inputs = [("plan", StringTensorType([None, 1])), ("months", FloatTensorType([None, 1]))]
    return to_onnx(model, initial_types=inputs, options=options or {"zipmap": False}, target_opset=OPSETS)


def line() -> ModelProto:
    rows = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    return to_onnx(LinearRegression().fit(rows, rows @ [1, 2, 3]), rows[:1], target_opset=OPSETS)


def texts() -> ModelProto:
    """Answers what it is given: a text and a number."""
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in ("plan", "months")]
    kinds = {"plan": TensorProto.STRING, "months": TensorProto.FLOAT}
    inputs = [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in kinds.items()]
    outputs = [helper.make_tensor_value_info(f"{name}_out", kind, [None, 1]) for name, kind in kinds.items()]
    graph = helper.make_graph(nodes, "texts", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


class Desk:
    """Somebody's folder, and the repository that it is published to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.models, self.clock = folder, MemoryModels(), StillClock()
        self._count = 0

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.folder / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def onnx(self, model: ModelProto, name: str = "model.onnx") -> Path:
        return self.write(name, model.SerializeToString())

    def describe(self, path: Path, **said: Any) -> Described:
        self._count += 1
        place = self.folder / f"described-{self._count}"
        place.mkdir()
        return describe(path, "churn", Said(**said), self.models.listings(), self.clock, place)

    def publish(self, path: Path, **said: Any) -> dict[str, Any]:
        """Describe and publish; model.json."""
        made = self.describe(path, **said)
        self.uploaded = publish_model(made.folder, "churn", self.models, self.clock).uploaded
        return made.document

    def refused(self, path: Path, **said: Any) -> tuple[Reason, str]:
        with pytest.raises(Permanent) as failure:
            self.publish(path, **said)
        assert not self.models.listings()
        return failure.value.reason, failure.value.sentence


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


ROWS = "plan,months,label\npro,2,yes\nfree,30,no\npro,,yes\n"


def test_a_classifier_of_texts_and_missing_values(desk: Desk) -> None:
    found = desk.publish(desk.onnx(churn()), examples=desk.write("test.csv", ROWS), metrics={"auc": 0.9})
    assert [(one["name"], one["datatype"], one["shape"]) for one in found["inputs"]] == [
        ("plan", "BYTES", [-1, 1]),
        ("months", "FP32", [-1, 1]),
    ]
    assert found["labels"] == ["no", "yes"]
    assert [example["label"] for example in found["golden"]] == ["yes", "no", "yes"]
    assert found["golden"][2]["inputs"][1]["data"] == [None]
    assert found["metrics"] == {"auc": 0.9}


def test_a_dictionary_for_each_row_is_refused_with_the_argument_that_mends_it(desk: Desk) -> None:
    reason, sentence = desk.refused(desk.onnx(churn({"zipmap": True})))
    assert reason == Reason.MODEL_SIGNATURE_WRONG
    assert "options={'zipmap': False}" in sentence


def test_where_nobody_gives_answers_the_services_own_are_kept(desk: Desk) -> None:
    rows = '{"a": 1, "b": 0, "c": 0}\n{"a": 0.5, "b": 0.5, "c": 0.5}\n'
    found = desk.publish(desk.onnx(line()), examples=desk.write("rows.jsonl", rows))
    computed = [example["outputs"][0]["data"][0] for example in found["golden"]]
    assert np.allclose(computed, [1, 3], atol=1e-3)
    assert found["labels"] is None


def test_the_same_model_is_the_same_version_on_another_day(desk: Desk) -> None:
    path, examples = desk.onnx(churn()), desk.write("test.csv", ROWS)
    first = desk.publish(path, examples=examples)
    desk.clock.sleep(3 * 24 * 3600)
    again = desk.publish(path, examples=examples)
    assert (again["version"], desk.uploaded) == (first["version"], ())
    other = desk.publish(path, examples=examples, metrics={"auc": 0.9})
    assert other["version"] != first["version"]
    assert len(desk.models.listings()) == 2


def test_requests_of_the_protocol_are_examples_too(desk: Desk) -> None:
    tensors = [
        {"name": "plan", "datatype": "BYTES", "shape": [2, 1], "data": ["pro", "free"]},
        {"name": "months", "datatype": "FP32", "shape": [2, 1], "data": [2, 30]},
    ]
    found = desk.publish(desk.onnx(churn()), examples=desk.write("rows.jsonl", json.dumps({"inputs": tensors})))
    (example,) = found["golden"]
    assert example["inputs"] == tensors
    assert next(one["data"] for one in example["outputs"] if one["name"] == "label") == ["yes", "no"]


def test_pictures_are_named_by_their_labels(desk: Desk, tmp_path: Path) -> None:
    model = write_shades(tmp_path / "shades")
    image = json.loads((model / "model.json").read_text())["image"]
    for name, value in (("dark-1.png", 0), ("light/a.png", 255), ("light/b.png", 250)):
        path = desk.write(f"pictures/{name}", b"")
        Image.new("L", (4, 4), value).save(path)
    path = desk.write("m.onnx", (model / "model.onnx").read_bytes())
    labels = ("dark", "middling", "light")
    found = desk.publish(path, labels=labels, image=image, examples=desk.folder / "mine" / "pictures")
    assert [example["label"] for example in found["golden"]] == ["dark", "light", "light"]


def test_a_folder_of_mlflow_is_taken_as_it_is(desk: Desk) -> None:
    desk.onnx(line(), "model/model.onnx")
    desk.write("model/requirements.txt", "onnx\n")
    place = desk.write("model/MLmodel", "flavors:\n  onnx: {data: model.onnx}\n  python_function: {}\n").parent
    found = desk.publish(place)
    assert found["model"] == "model.onnx"
    assert [file["name"] for file in found["files"]] == ["MLmodel", "model.onnx", "requirements.txt"]


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"MLmodel": "flavors: {sklearn: {}}", "model.pkl": "x"}, "without the flavor onnx (it has sklearn)"),
        ({"MLmodel": "flavors"}, "is not as MLflow writes it"),
        ({"model.pkl": "x"}, "has no ONNX file"),
        ({"a.onnx": "x", "b.onnx": "x"}, "has 2 ONNX files (a.onnx, b.onnx)"),
        ({"a.onnx": ""}, "is not an ONNX model that opens"),
        ({}, "has no ONNX file"),
    ],
)
def test_a_folder_without_one_model_is_refused(desk: Desk, files: dict[str, str], named: str) -> None:
    place = desk.folder / "mine" / "model"
    place.mkdir(parents=True)
    for name, content in files.items():
        desk.write(f"model/{name}", content)
    reason, sentence = desk.refused(place)
    assert reason == Reason.MODEL_NOT_ONNX
    assert named in sentence


def test_a_path_that_is_not_there(desk: Desk) -> None:
    assert desk.refused(desk.folder / "none")[0] == Reason.MODEL_NOT_FOUND


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("a.csv", "plan,months,label\npro,lots,yes\n", "line 2, column months: 'lots' is not FP32"),
        ("a.csv", "plan,label\npro,yes\n", "line 2 has the columns plan, and the model's inputs are plan [-1, 1]"),
        ("a.csv", "plan,months\npro\n", "line 2 does not have 2 columns"),
        ("a.csv", "plan,plan\npro,1\n", "has the column plan twice"),
        ("a.csv", "plan,months\n", "has no examples"),
        ("a.jsonl", '{"plan": "pro"', "line 1 is not JSON"),
        ("a.jsonl", '\n["pro"]\n', "line 2 is not a JSON object"),
        ("a.jsonl", '{"inputs": [{}], "lable": "yes"}', "lable is not known"),
    ],
)
def test_examples_that_do_not_fit_are_refused_with_their_place(desk: Desk, name: str, text: str, named: str) -> None:
    reason, sentence = desk.refused(desk.onnx(churn()), examples=desk.write(name, text))
    assert reason == Reason.MODEL_EXAMPLES_WRONG
    assert named in sentence


def test_examples_that_the_model_gets_wrong_are_named_with_its_answer(desk: Desk) -> None:
    examples = desk.write("test.csv", "plan,months,label\npro,2,yes\nfree,30,yes\n")
    reason, sentence = desk.refused(desk.onnx(churn()), examples=examples)
    assert reason == Reason.MODEL_GOLDEN_WRONG
    assert "golden example 1 should give yes, got no" in sentence


@pytest.mark.parametrize(
    ("name", "said", "named"),
    [
        ("model/mein modell.onnx", {}, "'mein modell.onnx'"),
        ("model/für.onnx", {}, "'für.onnx'"),
        ("model/" + "a" * 80 + ".onnx", {"version": "v" * 81}, "version has 81 characters"),
        ("model/a.onnx", {"version": "my model"}, "version is 'my model'"),
        ("model/a.onnx", {"labels": ("a", "b", "c")}, "labels are 3"),
        ("model/a.onnx", {"image": {"width": 2}}, "image"),
    ],
)
def test_what_cannot_be_written_is_said_of_the_path_that_was_given(
    desk: Desk, name: str, said: dict[str, Any], named: str
) -> None:
    place = desk.onnx(churn(), name).parent
    _, sentence = desk.refused(place, **said)
    assert named in sentence
    assert str(place) in sentence
    assert "described-" not in sentence


def test_a_text_may_have_lines_and_a_number_may_be_missing(desk: Desk) -> None:
    rows = 'plan,months\n"pro\nplus",2\n'
    assert (
        "pro\nplus"
        in desk.describe(desk.onnx(texts()), examples=desk.write("a.csv", rows)).document["golden"][0]["inputs"][0][
            "data"
        ]
    )
    found = desk.describe(desk.onnx(churn()), examples=desk.write("a.jsonl", '{"plan": "pro", "months": NaN}'))
    assert found.document["golden"][0]["inputs"][1]["data"] == [None]


def columns(values: Sequence[Any]) -> str:
    return ",".join(map(str, values))


def test_columns_in_their_order_are_one_inputs_numbers(desk: Desk) -> None:
    rows = np.array([[0, 0], [9, 9]] * 5, np.float32)
    model = to_onnx(
        LogisticRegression().fit(rows, [0, 1] * 5), rows[:1], options={"zipmap": False}, target_opset=OPSETS
    )
    text = "\n".join(["width,height,kind", columns([0, 0, 0]), columns([9, 9, 1])])
    found = desk.publish(desk.onnx(model), examples=desk.write("a.csv", text), answer="kind")
    assert found["labels"] == ["0", "1"]
    assert [example["label"] for example in found["golden"]] == ["0", "1"]


def test_two_who_publish_the_same_at_once_get_one_version(desk: Desk) -> None:
    """The second has looked before the first was done."""
    path = desk.onnx(line())
    seen = desk.models.listings
    looks = []

    def listings() -> Any:
        looks.append(1)
        return [] if len(looks) == 1 else seen()

    first = desk.publish(path, author="ana")
    desk.clock.sleep(5)
    desk.models.listings = listings  # type: ignore[method-assign]
    described, published = publish_described(
        path,
        "churn",
        Said(author="bob"),
        desk.models,
        desk.clock,
        lambda folder: publish_model(folder, "churn", desk.models, desk.clock),
    )
    assert (published.version, published.uploaded) == (first["version"], ())
    assert described.document["author"] == "ana"
    assert any("ana" in note for note in described.notes)


@pytest.mark.parametrize("inner", ["a feature", "a vote"])
def test_labels_of_something_inside_are_not_the_models(desk: Desk, inner: str) -> None:
    rows = np.array([["free", 1.0], ["pro", 2.0]] * 10, dtype=object)
    if inner == "a feature":
        model = make_pipeline(ColumnTransformer([("plan", OneHotEncoder(), [0])]), LinearRegression())
        model.fit(rows, [0.2, 0.4] * 10)
        inputs = [("plan", StringTensorType([None, 1])), ("months", FloatTensorType([None, 1]))]
        made = to_onnx(model, initial_types=inputs, target_opset=OPSETS)
    else:
        numbers = np.array([[1.0], [2.0], [3.0]] * 10, np.float32)
        model = BaggingClassifier(LogisticRegression(), n_estimators=2).fit(numbers, ["low", "mid", "top"] * 10)
        made = to_onnx(model, numbers[:1], options={"zipmap": False}, target_opset=OPSETS)
    assert desk.describe(desk.onnx(made)).document["labels"] is None


def test_a_column_of_answers_that_nothing_is_compared_with_is_said(desk: Desk) -> None:
    text = "a,b,c,label\n1,2,3,dog\n"
    described = desk.describe(desk.onnx(line()), examples=desk.write("a.csv", text))
    assert any("--labels" in note for note in described.notes)
    reason, sentence = desk.refused(desk.onnx(line()), examples=desk.write("a.csv", text), answer="clas")
    assert (reason, "no column clas" in sentence) == (Reason.MODEL_EXAMPLES_WRONG, True)


@pytest.mark.parametrize(
    ("described", "named"),
    [
        ("flavors: {onnx: {data: other.onnx}}", "names other.onnx"),
        ("flavors: {onnx: {data: ../model.onnx}}", "names ../model.onnx"),
        ("flavors: {onnx: {data: /etc/passwd}}", "names /etc/passwd"),
        ("flavors: {1: {}, a: {}}", "it has 1, a"),
        ("flavors: {onnx: {data: 1}}\nt: 2020-99-99", "not as MLflow writes it"),
        ("[" * 3000, "not as MLflow writes it"),
    ],
)
def test_a_folder_of_mlflow_that_is_odd_is_refused(desk: Desk, described: str, named: str) -> None:
    desk.onnx(line(), "model/model.onnx")
    reason, sentence = desk.refused(desk.write("model/MLmodel", described).parent)
    assert reason == Reason.MODEL_NOT_ONNX
    assert named in sentence


def test_mlflow_may_write_its_files_with_a_dot(desk: Desk) -> None:
    desk.onnx(line(), "model/model.onnx")
    place = desk.write("model/MLmodel", "flavors: {onnx: {data: ./model.onnx}}").parent
    assert desk.publish(place)["model"] == "model.onnx"


def test_what_lies_outside_the_folder_is_not_published(desk: Desk) -> None:
    secret = desk.write("secret.txt", "AccountKey=abc")
    place = desk.onnx(line(), "model/model.onnx").parent
    (place / "config").symlink_to(secret)
    reason, sentence = desk.refused(place)
    assert reason == Reason.MODEL_MANIFEST_INVALID
    assert "config leads to a file outside" in sentence


def test_weights_beside_the_file_want_the_folder(desk: Desk) -> None:
    model = load_from_string(linear_onnx())
    external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    save_model(model, desk.write("outside/model.onnx", b""))
    assert "give the folder" in desk.refused(desk.folder / "mine" / "outside" / "model.onnx")[1]
    assert [file["name"] for file in desk.publish(desk.folder / "mine" / "outside")["files"]][-1] == "weights.bin"


def test_columns_count_in_the_order_of_the_first_row(desk: Desk) -> None:
    rows = '{"a": 1, "b": 2, "c": 3}\n{"c": 3, "b": 2, "a": 1}\n'
    golden = desk.describe(desk.onnx(line()), examples=desk.write("a.jsonl", rows)).document["golden"]
    assert [example["inputs"][0]["data"] for example in golden] == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("a.csv", "a,b,c\n1,2,inf\n", "line 2, column c"),
        ("a.csv", "a,b,c\n1,2,1e400\n", "line 2, column c"),
        ("a.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("a.jsonl", '{"a": "\\ud800"}', "line 1 is not JSON"),
        ("a.csv", "a,b,c\n" + "1,2,3\n" * 5001, "5000 are allowed"),
    ],
)
def test_examples_that_cannot_be_are_refused_before_anything_is_computed(
    desk: Desk, name: str, text: str, named: str
) -> None:
    reason, sentence = desk.refused(desk.onnx(line()), examples=desk.write(name, text))
    assert (reason, named in sentence) == (Reason.MODEL_EXAMPLES_WRONG, True)


def test_a_line_ends_where_json_lines_say(desk: Desk) -> None:
    text = json.dumps({"plan": "a\u2028b", "months": 1}, ensure_ascii=False)
    golden = desk.describe(desk.onnx(texts()), examples=desk.write("a.jsonl", text)).document["golden"]
    assert golden[0]["inputs"][0]["data"] == ["a\u2028b"]


def test_what_editors_and_systems_leave_in_a_folder_is_no_picture(tmp_path: Path) -> None:
    for name in (".ipynb_checkpoints/7-a.png", "._7-b.png", "7-c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (2, 2)).save(tmp_path / name)
    (tmp_path / "8.png").mkdir()
    os.mkfifo(tmp_path / "9.png")
    assert [example["label"] for example in read_examples(tmp_path, (), labelled=True).golden] == ["7"]


def test_a_pipe_is_no_file_of_examples(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(Permanent):
        read_examples(tmp_path / "a.csv", (), labelled=True)


def test_asking_for_answers_ends_by_itself(tmp_path: Path) -> None:
    """Whoever wanted them may be gone."""
    folder = write_shades(tmp_path / "m", hang=10**9)
    manifest = json.loads((folder / "model.json").read_text())
    row = {"name": "image", "datatype": "FP32", "shape": [1, 4], "data": [128 / 255] * 4}
    (folder / "model.json").write_text(json.dumps(manifest | {"golden": [{"inputs": [row]}]}))
    path = os.pathsep.join(filter(None, sys.path))
    words = [sys.executable, "-m", "nightferry.steps.model.describing.answers", str(folder), "3"]
    done = subprocess.run(words, env={"PYTHONPATH": path}, capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGALRM
