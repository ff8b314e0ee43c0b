"""Train the model of SERVICE_NAME on customers that are made up here, and write what `nightferry models publish` takes:

model.joblib · metrics.json, what was measured on customers it has not seen · examples.jsonl, requests and answers
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parent / "app"))

from app import COLUMNS, NUMBERS, TEXTS, create_app, table

HERE = Path(__file__).resolve().parent
SEED = 7
CUSTOMERS = 4000
EXAMPLES = 5


def customers(chance: np.random.Generator) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Customers, of whom not everything is known, and whether they left: put your own data here."""
    rows: list[dict[str, Any]] = []
    left = []
    for _ in range(CUSTOMERS):
        plan = chance.choice(["free", "pro", "team"])
        months, calls = int(chance.integers(0, 60)), int(chance.poisson(2))
        inclination = {"free": 0.5, "pro": -0.5, "team": -1.5}[plan] - 0.05 * months + 0.6 * calls
        left.append(chance.random() < 1 / (1 + np.exp(-inclination)))
        row = {"plan": str(plan), "months": months, "calls": calls}
        rows.append({name: None if chance.random() < 0.05 else value for name, value in row.items()})
    return rows, np.array(left, dtype=int)


def pipeline() -> Pipeline:
    """What is fitted; a plan that is new or not known counts as none."""
    texts = [COLUMNS.index(name) for name in TEXTS]
    numbers = [COLUMNS.index(name) for name in NUMBERS]
    columns = ColumnTransformer(
        [
            ("texts", OneHotEncoder(handle_unknown="ignore"), texts),
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        ]
    )
    return make_pipeline(columns, LogisticRegression())


def main() -> None:
    """Train, measure, and write the three files."""
    rows, left = customers(np.random.default_rng(SEED))
    known, unseen, known_left, unseen_left = train_test_split(rows, left, test_size=0.25, random_state=SEED)
    model = pipeline().fit(table(known), known_left)

    auc = float(roc_auc_score(unseen_left, model.predict_proba(table(unseen))[:, 1]))
    client = create_app(model).test_client()
    examples = []
    for row in unseen[:EXAMPLES]:
        body = {"rows": [row]}
        answer = client.post("/predict", json=body).get_json()
        examples.append({"request": {"post": "/predict", "json": body}, "answer": {"json": answer}})

    joblib.dump(model, HERE / "model.joblib")
    (HERE / "metrics.json").write_text(json.dumps({"auc": round(auc, 4)}) + "\n", encoding="utf-8")
    lines = "".join(json.dumps(example) + "\n" for example in examples)
    (HERE / "examples.jsonl").write_text(lines, encoding="utf-8")
    print(f"model.joblib: auc {auc:.4f} on {len(unseen)} customers that it has not seen.")


if __name__ == "__main__":
    main()
