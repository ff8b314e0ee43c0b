#!/usr/bin/env python3
"""Train the sentiment model: TF-IDF and logistic regression on eighty sentences, exported to ONNX.

    python examples/sentiment/train.py --out DIR

Writes model.onnx, metrics.json (measured by cross-validation) and examples.csv (sentences and the labels
that the exported model gives them). The same packages give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is loaded

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sentences import sentences

SEED = 20261121
EXAMPLES = 8
OPSETS = {"": 17, "ai.onnx.ml": 3}
"""What the service's ONNX Runtime and many a release before it serve."""
WORD = "[a-zA-Z0-9_]+"
"""What counts as a word: one pattern for both, since scikit-learn's own needs look-around, which ONNX has not."""


def main(argv: list[str] | None = None) -> int:
    """Train, measure and write; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write; it must not hold anything yet")
    out = parser.parse_args(argv).out
    if out.exists() and any(out.iterdir()):
        print(f"train.py: {out} is not empty; give a new folder", file=sys.stderr)
        return 2
    texts, labels = sentences()
    folds = StratifiedKFold(10, shuffle=True, random_state=SEED)
    guessed = cross_val_predict(pipeline(), texts, labels, cv=folds)
    accuracy = sum(one == right for one, right in zip(guessed, labels, strict=True)) / len(texts)
    model = pipeline().fit(texts, labels)
    data = export(model)
    predicted = labels_of(data, texts)  # what users will get: the exported model, not the one in memory
    if predicted != model.predict(texts).tolist():
        print("train.py: the exported model answers otherwise than the trained one", file=sys.stderr)
        return 1
    examples = list(zip(texts, predicted, strict=True))[:: len(texts) // EXAMPLES]
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.onnx").write_bytes(data)
    (out / "metrics.json").write_text(json.dumps({"accuracy": round(accuracy, 6)}) + "\n", encoding="utf-8")
    with (out / "examples.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("text", "label"), *examples])
    print(f"sentiment: accuracy {accuracy:.4f} on {len(texts)} sentences, each by a model that had not seen it")
    print(f"written to {out}")
    return 0


def pipeline() -> Pipeline:
    """What is fitted."""
    return make_pipeline(TfidfVectorizer(token_pattern=WORD), LogisticRegression(C=10, random_state=SEED))


def export(model: Pipeline) -> bytes:
    """The model as ONNX.

    It makes texts lower-case with the operator StringNormalizer, which asks the system for a locale: en_US.UTF-8 if
    nothing is said, which not every machine has. C.UTF-8 is everywhere.
    """
    vectorizer, classifier = model.steps[0][1], model.steps[-1][1]
    exported = to_onnx(
        model,
        initial_types=[("text", StringTensorType([None, 1]))],
        options={id(vectorizer): {"locale": "C.UTF-8"}, id(classifier): {"zipmap": False}},
        target_opset=OPSETS,
    )
    operators = sorted(exported.opset_import, key=lambda one: str(one.domain))  # in no order of their own
    del exported.opset_import[:]
    exported.opset_import.extend(operators)
    data: bytes = exported.SerializeToString(deterministic=True)
    return data


def labels_of(data: bytes, texts: list[str]) -> list[str]:
    """What the exported model says of each text."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    labels = session.run([session.get_outputs()[0].name], {"text": np.array(texts, dtype=object).reshape(-1, 1)})[0]
    return [str(label) for label in labels]


if __name__ == "__main__":
    sys.exit(main())
