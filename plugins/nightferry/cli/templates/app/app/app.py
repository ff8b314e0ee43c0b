"""SERVICE_NAME: how likely each customer is to leave.

POST /predict {"rows": [{"plan": "pro", "months": 2, "calls": 1}]} answers {"churn": [0.1234]}. What is not known of a
customer is null or left out.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from flask import Flask, jsonify, request
from werkzeug.exceptions import HTTPException

MODEL = Path(__file__).parent / "models" / "SERVICE_NAME.joblib"  # nightferry.yaml says the same: model_at
TEXTS, NUMBERS = ("plan",), ("months", "calls")
COLUMNS = TEXTS + NUMBERS


class BadRows(ValueError):
    """What is wrong with a request, as a sentence for whoever sent it."""


def table(rows: object) -> np.ndarray:
    """The rows as the model wants them, for serving and for training alike: a column for each of COLUMNS.

    What is missing is None in a text and NaN in a number. Raises BadRows.
    """
    if not isinstance(rows, list) or not rows:
        raise BadRows("rows should be a list of customers.")
    return np.array([_row(number, row) for number, row in enumerate(rows)], dtype=object)


def _row(number: int, row: object) -> list[Any]:
    if not isinstance(row, dict):
        raise BadRows(f"Row {number} should be an object with {', '.join(COLUMNS)}.")
    unknown = sorted(set(row) - set(COLUMNS))
    if unknown:
        raise BadRows(f"Row {number} has {unknown[0]!r}; known are {', '.join(COLUMNS)}.")
    return [*(_text(number, row, name) for name in TEXTS), *(_number(number, row, name) for name in NUMBERS)]


def _text(number: int, row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRows(f"Row {number}: {name} should be a text, or null.")
    return value


def _number(number: int, row: dict[str, Any], name: str) -> float:
    value = row.get(name)
    if value is None:
        return math.nan
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer of more than 308 digits
        pass
    raise BadRows(f"Row {number}: {name} should be a number, or null.")


def create_app(model: Any = None) -> Flask:
    """The service with this model; with none, with the one that lies at MODEL."""
    if model is None:
        model = joblib.load(MODEL)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000

    @app.post("/predict")
    def predict() -> Any:
        body = request.get_json(force=True)
        if not isinstance(body, dict) or "rows" not in body:
            raise BadRows('The body should be {"rows": [{"plan": "pro", "months": 2, "calls": 1}]}.')
        churn = model.predict_proba(table(body["rows"]))[:, 1]
        return {"churn": [round(float(one), 4) for one in churn]}

    @app.get("/health")
    def health() -> Any:
        return {"status": "ready"}

    @app.get("/version")
    def version() -> Any:
        return {
            "release": os.environ.get("NIGHTFERRY_RELEASE"),
            "model": {"version": os.environ.get("NIGHTFERRY_MODEL")},
        }

    @app.errorhandler(BadRows)
    def bad_rows(fault: BadRows) -> Any:
        return jsonify(error=str(fault)), 400

    @app.errorhandler(HTTPException)
    def refused(fault: HTTPException) -> Any:
        return jsonify(error=fault.description), fault.code

    return app
