#!/usr/bin/env python3
"""Train the sample model: which digit is this? Writes a model directory that `nightferry models publish` takes.

    python examples/digits/train.py --out DIR [--variant forest]

The data set comes with scikit-learn: 1797 hand-written digits of 8 x 8 grey values from 0 (paper) to 16 (ink). A fifth
of them is held out and measured. The same variant, version and created time give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is loaded

import numpy as np
import onnxruntime
from PIL import Image
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

VARIANTS = {
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1)),
    "forest": lambda: RandomForestClassifier(n_estimators=150, random_state=0),
    # Too weak for the sample service's gate, on purpose.
    "weak": lambda: GaussianNB(),
}
SEED = 20240101
GOLDEN_SIZE = 64
"""Pixels of a golden picture's side: a digit's 8, each drawn 8 wide."""


def main(argv: list[str] | None = None) -> int:
    """Train, measure and write; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write; it must not hold anything yet")
    parser.add_argument("--variant", choices=VARIANTS, default="forest", help="kind of classifier (%(default)s)")
    parser.add_argument("--version", help="name of the model version (<date>-<variant>)")
    parser.add_argument("--created", help="RFC 3339 time of its making (now)")
    parser.add_argument("--author", default="examples/digits", help="who made it (%(default)s)")
    parser.add_argument("--commit", help="commit of the training code, if known")
    arguments = parser.parse_args(argv)
    if arguments.out.exists() and any(arguments.out.iterdir()):
        print(f"train.py: {arguments.out} is not empty; give a new folder", file=sys.stderr)
        return 2
    created = arguments.created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    manifest = train(arguments.out, arguments.variant, created, arguments.version, arguments.author, arguments.commit)
    metrics = manifest["metrics"]
    print(f"digits {manifest['version']}: accuracy {metrics['accuracy']:.4f} on {metrics['test_set_size']} digits")
    print(f"written to {arguments.out}")
    return 0


def train(
    out: Path, variant: str, created: str, version: str | None = None, author: str = "", commit: str | None = None
) -> dict[str, Any]:
    """Train one variant, write its directory and return its manifest."""
    digits = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        digits.data.astype(np.float32), digits.target, test_size=0.2, random_state=SEED, stratify=digits.target
    )
    classifier = VARIANTS[variant]().fit(x_train, y_train)
    data = _onnx(classifier)
    predicted = _predict(data, x_test)  # what users will get: the exported model, not the one in memory
    files = {"model.onnx": data}
    golden = []
    for label in range(10):
        row = int(np.flatnonzero((y_test == label) & (predicted == label))[0])
        name = f"golden/{label}.png"
        files[name] = _png(x_test[row])
        golden.append({"image": name, "label": str(label)})
    manifest = {
        "format": "onnx",
        "service": "digits",
        "version": version or f"{created[:10]}-{variant}",
        "created": created,
        "author": author,
        "commit": commit,
        "files": [
            {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(files.items())
        ],
        "model": "model.onnx",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}],
        "rows": "independent",
        # Dark ink on light paper, as people draw; the data set has it the other way round.
        "image": {
            "input": "image", "width": 8, "height": 8, "mode": "L", "layout": "flat", "resample": "box",
            "invert": True, "scale": 16.0, "mean": [0.0], "std": [1.0], "top_k": 3,
        },
        "labels": [str(label) for label in range(10)],
        "metrics": {
            "accuracy": round(float((predicted == y_test).mean()), 6),
            "test_set_sha256": hashlib.sha256(x_test.tobytes() + y_test.astype("<i8").tobytes()).hexdigest(),
            "test_set_size": len(y_test),
        },
        "golden": golden,
    }  # fmt: skip
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    (out / "model.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def _onnx(classifier: Any) -> bytes:
    model = to_onnx(
        classifier,
        initial_types=[("image", FloatTensorType([None, 64]))],
        options={"zipmap": False},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    model = select_model_inputs_outputs(model, ["probabilities"])
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _predict(data: bytes, rows: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"image": rows})
    return probabilities.argmax(axis=1)


def _png(row: np.ndarray) -> bytes:
    pixels = 255 - np.rint(row.reshape(8, 8) * (255 / 16)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "L").resize((GOLDEN_SIZE, GOLDEN_SIZE), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
