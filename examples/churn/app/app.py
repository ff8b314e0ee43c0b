"""Which customers are about to leave? A Flask app around one scikit-learn pipeline.

    POST /predict  {"rows": [{"plan": "pro", "country": "CH", "months": 2, "calls": 5, "spend": 19.9}]}
                   {"churn": [0.61]}

Anything that is not known of a customer may be null or left out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

TEXTS = ("plan", "country")
NUMBERS = ("months", "calls", "spend")
COLUMNS = TEXTS + NUMBERS
MOST_ROWS = 1000


class Refused(ValueError):
    """What is wrong with a request."""


def table(rows: object) -> np.ndarray:
    """The rows as the pipeline takes them: one column for each of COLUMNS, None where nothing is known.

    Raises:
        Refused: they are no customers.
    """
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_ROWS:
        raise Refused(f"rows should be a list of 1 to {MOST_ROWS} customers")
    return np.array([_values(number, row) for number, row in enumerate(rows)], dtype=object)


def _values(number: int, row: object) -> list[Any]:
    if not isinstance(row, dict):
        raise Refused(f"rows[{number}] should be an object with {', '.join(COLUMNS)}")
    unknown = sorted(row.keys() - set(COLUMNS))
    if unknown:
        raise Refused(f"rows[{number}].{unknown[0]} is not known; there are {', '.join(COLUMNS)}")
    for name in COLUMNS:
        value, wanted = row.get(name), (str if name in TEXTS else (int, float))
        if value is not None and (isinstance(value, bool) or not isinstance(value, wanted)):
            raise Refused(f"rows[{number}].{name} should be a {'text' if name in TEXTS else 'number'} or null")
    return [row.get(name) for name in COLUMNS]


def create_app(model: Any = None) -> Flask:
    """The service; without a model of the caller's own, with the one that Nightferry put into MODEL_DIR."""
    if model is None:
        model = joblib.load(Path(os.environ.get("MODEL_DIR", "/model")) / "model.joblib")
    app = Flask(__name__)

    @app.post("/predict")
    def predict() -> dict[str, list[float]]:
        body = request.get_json(force=True)
        rows = table(body.get("rows") if isinstance(body, dict) else None)
        return {"churn": [round(float(one), 6) for one in model.predict_proba(rows)[:, 1]]}

    @app.get("/health")
    def health() -> str:
        return "ready"

    @app.get("/version")
    def version() -> dict[str, str]:
        return {name: os.environ.get(f"NIGHTFERRY_{name.upper()}", "") for name in ("release", "model")}

    @app.errorhandler(Refused)
    def refused(fault: Refused) -> tuple[Response, int]:
        return jsonify(error=str(fault)), 400

    @app.errorhandler(HTTPException)
    def failed(fault: HTTPException) -> tuple[Response, int]:
        return jsonify(error=fault.description), fault.code or 500

    return app
