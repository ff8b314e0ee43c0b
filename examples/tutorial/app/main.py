"""A service in the shape of the tutorial's: a module that loads its model when it is imported, and three addresses.

GET /          Healthy
GET /version   what answers
POST /score    {"input": "[\\"<picture in base64>\\"]"}: a list of pictures, as JSON in a text
               {"result": [[[["7", 98.2], ["9", 1.1], ["4", 0.3]]], "Computed in 3.1 ms"]}
"""

import base64
import io
import json
import os
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from flask import Flask, request
from PIL import Image

TOP = 3

model = pickle.loads((Path(os.environ.get("MODEL_DIR", "/model")) / "model.pkl").read_bytes())

app = Flask(__name__)


def pixels(picture: str) -> np.ndarray:
    """A picture in base64 as the model's 64 numbers: 0 is paper, 16 is ink."""
    if picture.startswith("b'"):  # some clients send Python's own way to print bytes
        picture = picture[2:-1]
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("L").resize((8, 8), Image.Resampling.BOX)
    return (255.0 - np.asarray(image, dtype=np.float64)).reshape(64) / 255 * 16


def run(text: str) -> tuple[list[Any], str]:
    """The best labels of each picture, with percentages, and how long that took."""
    start = time.perf_counter()
    scores = model.predict_proba(np.array([pixels(picture) for picture in json.loads(text)])) * 100
    best = np.argsort(-scores, axis=1)[:, :TOP]
    result = [
        [(str(model.classes_[i]), round(float(row[i]), 4)) for i in order]
        for row, order in zip(scores, best, strict=True)
    ]
    return result, f"Computed in {(time.perf_counter() - start) * 1000:.1f} ms"


@app.route("/score", methods=["POST"])
def score() -> Any:
    """Answer with the labels of each picture."""
    if request.mimetype != "application/json":
        return {}, 415
    try:
        return {"result": run(request.json["input"])}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as fault:
        return {"error": f"input should be a list of pictures in base64, as JSON in a text: {fault}"}, 400


@app.route("/")
def healthy() -> str:
    """Say that the model is loaded: before that, nothing answers."""
    return "Healthy"


@app.route("/version")
def version() -> dict[str, str]:
    """Say which release answers, and with which scikit-learn."""
    return {"release": os.environ.get("NIGHTFERRY_RELEASE", ""), "scikit-learn": sklearn.__version__}
