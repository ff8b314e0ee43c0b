#!/usr/bin/env python3
"""Train the churn model: a scikit-learn pipeline around LightGBM, on customers that are made up here.

    python examples/churn/train.py --out DIR

Writes model.joblib, metrics.json (measured on customers that it has not seen) and examples.jsonl (requests to the app
and its answers). The same packages give the same bytes. Run it with the packages of app/requirements.txt.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

sys.path.insert(0, str(Path(__file__).resolve().parent / "app"))

from app import COLUMNS, NUMBERS, TEXTS, create_app, table

SEED = 20261121
CUSTOMERS = 6000
UNKNOWN = 0.06
"""The part of all values that nobody knows."""
EXAMPLES = 8


def main(argv: list[str] | None = None) -> int:
    """Train, measure and write; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write; it must not hold anything yet")
    out = parser.parse_args(argv).out
    if out.exists() and any(out.iterdir()):
        print(f"train.py: {out} is not empty; give a new folder", file=sys.stderr)
        return 2
    rows, left = customers(np.random.default_rng(SEED))
    known, unseen, known_left, unseen_left = train_test_split(rows, left, test_size=0.25, random_state=SEED)
    model = pipeline().fit(_all(known), known_left)
    auc = round(float(roc_auc_score(unseen_left, model.predict_proba(_all(unseen))[:, 1])), 6)
    out.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, out / "model.joblib")
    (out / "metrics.json").write_text(json.dumps({"auc": auc}) + "\n", encoding="utf-8")
    partly = [row for row in unseen if None in row.values()]
    chosen = [*unseen[: EXAMPLES // 2], *partly[: EXAMPLES // 2]]
    lines = [json.dumps(exchange) + "\n" for exchange in exchanges(model, chosen)]
    (out / "examples.jsonl").write_text("".join(lines), encoding="utf-8")
    print(f"churn: auc {auc:.4f} on {len(unseen)} customers")
    print(f"written to {out}")
    return 0


def customers(chance: np.random.Generator) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Customers, and which of them left."""
    rows, left = [], []
    for _ in range(CUSTOMERS):
        plan = str(chance.choice(["free", "pro", "team"], p=[0.5, 0.3, 0.2]))
        country = str(chance.choice(["CH", "DE", "FR", "IT"]))
        months, calls = int(chance.integers(0, 60)), int(chance.poisson(2))
        spend = 0.0 if plan == "free" else round(float(chance.gamma(4, 8 if plan == "pro" else 20)), 2)
        inclination = {"free": 0.4, "pro": -0.4, "team": -1.2}[plan] + (0.5 if country == "IT" else 0.0)
        inclination += 0.7 * calls - 0.06 * months + (1.5 if months < 3 and calls > 2 else 0.0) - 0.4
        left.append(chance.random() < 1 / (1 + np.exp(-inclination)))
        row = {"plan": plan, "country": country, "months": months, "calls": calls, "spend": spend}
        rows.append({name: None if chance.random() < UNKNOWN else value for name, value in row.items()})
    return rows, np.array(left, dtype=int)


def pipeline() -> Pipeline:
    """What is fitted. A text that is new or not known has no column of its own that says 1."""
    columns = ColumnTransformer(
        [
            ("texts", OneHotEncoder(handle_unknown="ignore"), [COLUMNS.index(name) for name in TEXTS]),
            (
                "numbers",
                SimpleImputer(strategy="median", add_indicator=True),
                [COLUMNS.index(name) for name in NUMBERS],
            ),
        ],
        sparse_threshold=0,
    )
    # One thread: the pod's processors are few, and the sums are made in one order.
    classifier = LGBMClassifier(
        n_estimators=80, learning_rate=0.08, num_leaves=12, random_state=SEED, n_jobs=1, deterministic=True, verbose=-1
    )
    return make_pipeline(columns, classifier)


def _all(rows: list[dict[str, Any]]) -> np.ndarray:
    return np.concatenate([table(rows[start : start + 1000]) for start in range(0, len(rows), 1000)])


def exchanges(model: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the app is asked and has to answer with this model: one customer at a time, and all together."""
    client = create_app(model).test_client()
    asked = [{"rows": [row]} for row in rows] + [{"rows": rows}]
    return [
        {
            "request": {"post": "/predict", "json": body},
            "answer": {"status": 200, "json": client.post("/predict", json=body).get_json()},
        }
        for body in asked
    ]


if __name__ == "__main__":
    sys.exit(main())
