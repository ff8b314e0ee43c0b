"""Somebody has a model and nothing else: from an ONNX file and a table of examples to right answers in production."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from tests.e2e.stage import ROOT, Stage

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("releases")]
SERVICE = "e2e-own-model"
EXAMPLES = "plan,months,label\npro,2,yes\nfree,30,no\npro,,yes\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Stage]:
    """A service of this name that nobody has yet."""
    stage = Stage(tmp_path, SERVICE)
    stage.remove()
    yield stage
    stage.remove()


def write_model(path: Path) -> None:
    """Write a pipeline of a text and a number that may be missing."""
    rows = np.array([["pro", 2.0], ["free", 30.0], ["pro", np.nan], ["free", 1.0]] * 5, dtype=object)
    columns = ColumnTransformer([("plan", OneHotEncoder(), [0]), ("months", SimpleImputer(), [1])])
    model = make_pipeline(columns, LogisticRegression()).fit(rows, ["yes", "no", "yes", "no"] * 5)
    inputs = [("plan", StringTensorType([None, 1])), ("months", FloatTensorType([None, 1]))]
    made = to_onnx(model, initial_types=inputs, options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3})
    path.write_bytes(made.SerializeToString())


def test_a_model_without_an_app_is_released_from_nothing_but_its_file(desk: Stage, tmp_path: Path) -> None:
    """Given an ONNX file; when its service is begun, added, published and released; then users get right answers."""
    file, model, examples = (tmp_path / name for name in ("churn.yaml", "churn.onnx", "test.csv"))
    write_model(model)
    examples.write_text(EXAMPLES)
    assert desk.nightferry("init", SERVICE, "--owner", "crm", "--out", str(file)).returncode == 0
    if subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, check=False).returncode:
        # These files are no checkout: the app comes from a repository made of them.
        desk.make_repository()
        own = f'source: {{repository: "{desk.repository}", ref: main, path: serving_app, tests: checks}}\n'
        file.write_text(file.read_text() + own)
    publish = ["models", "publish", SERVICE, str(model), "--metric", "auc=0.9", "--examples", str(examples)]
    for words in (
        ["services", "add", str(file)],
        publish,
        ["release", SERVICE, "--wait"],
    ):
        done = desk.nightferry(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)

    tensors = [
        {"name": "plan", "datatype": "BYTES", "shape": [2, 1], "data": ["pro", "free"]},
        {"name": "months", "datatype": "FP32", "shape": [2, 1], "data": [None, 12]},
    ]
    asked = requests.post(f"{desk.url()}/v2/models/{SERVICE}/infer", json={"inputs": tensors}, timeout=10)
    assert asked.status_code == 200, asked.text
    outputs = {output["name"]: output["data"] for output in asked.json()["outputs"]}
    assert outputs["label"] == ["yes", "no"]
    assert desk.version()["model"]["version"] == json.loads(desk.nightferry(*publish, "--json").stdout)["version"]

    again = desk.nightferry("release", SERVICE, "--wait")
    assert again.returncode == 0
    assert "unchanged" in again.stdout
