#!/usr/bin/env python3
"""Train the tutorial's model: which digit is this? A scikit-learn classifier in a pickle.

    python examples/tutorial/train.py --out DIR

Writes model.pkl, metrics.json (measured on digits that it has not seen) and examples.jsonl (pictures of digits, one of
each, and their labels). The same packages give the same bytes. Run it with the packages of app/requirements.txt.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 20261121
SIDE = 64
"""Pixels of a picture's side: a digit's 8, each drawn 8 wide."""
SURE = 0.8
"""The score of a digit that is taken as an example: what another processor rounds otherwise is no other label."""


def main(argv: list[str] | None = None) -> int:
    """Train, measure and write; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write; it must not hold anything yet")
    out = parser.parse_args(argv).out
    if out.exists() and any(out.iterdir()):
        print(f"train.py: {out} is not empty; give a new folder", file=sys.stderr)
        return 2
    digits = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        digits.data, digits.target, test_size=0.2, random_state=SEED, stratify=digits.target
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1)).fit(x_train, y_train)
    accuracy = round(float(model.score(x_test, y_test)), 6)
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.pkl").write_bytes(pickle.dumps(model, protocol=5))
    (out / "metrics.json").write_text(json.dumps({"accuracy": accuracy}) + "\n", encoding="utf-8")
    lines = [json.dumps(exchange) + "\n" for exchange in exchanges(model, x_test, y_test)]
    (out / "examples.jsonl").write_text("".join(lines), encoding="utf-8")
    print(f"tutorial: accuracy {accuracy:.4f} on {len(y_test)} digits")
    print(f"written to {out}")
    return 0


def exchanges(model: Any, rows: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """A picture of each digit that the model is sure of, as clients send it."""
    scores = model.predict_proba(rows)
    chosen = [int(np.flatnonzero((labels == digit) & (scores[:, digit] > SURE))[0]) for digit in range(10)]
    return [
        {
            "request": {"post": "/score", "json": {"input": json.dumps([picture(rows[row])])}},
            "answer": {"status": 200, "label": str(labels[row]), "at": "result.0.0.0.0"},
        }
        for row in chosen
    ]


def picture(row: np.ndarray) -> str:
    """A digit of the data set as people draw it, dark on white, a PNG in base64."""
    pixels = 255 - np.rint(row.reshape(8, 8) * (255 / 16)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    sys.exit(main())
