"""The app without its model: a stand-in notes what it was asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from app import create_app


class StandIn:
    """Says 0.25 for each row."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        self.rows = rows.tolist()
        return np.tile([0.75, 0.25], (len(rows), 1))


def test_each_customer_gets_a_number_and_what_is_not_known_is_none() -> None:
    model = StandIn()
    rows = [{"plan": "pro", "months": 2, "spend": 19.9}, {"country": None, "calls": 5}]
    answer = create_app(model).test_client().post("/predict", json={"rows": rows})
    assert answer.json == {"churn": [0.25, 0.25]}
    assert model.rows == [["pro", None, 2, None, 19.9], [None, None, None, 5, None]]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"rows": []}, "rows"),
        ({"rows": [{}] * 1001}, "rows"),
        ([], "rows"),
        ({"rows": [{}, 3]}, "rows[1]"),
        ({"rows": [{"plan": 3}]}, "rows[0].plan"),
        ({"rows": [{"calls": "many"}]}, "rows[0].calls"),
        ({"rows": [{"calls": True}]}, "rows[0].calls"),
        ({"rows": [{"plans": "pro"}]}, "rows[0].plans"),
    ],
)
def test_what_is_no_customer_is_refused_by_its_name(body: Any, named: str) -> None:
    model = StandIn()
    answer = create_app(model).test_client().post("/predict", json=body)
    assert answer.status_code == 400
    assert answer.json["error"].startswith(named)
    assert model.rows == []


def test_what_is_not_json_is_refused() -> None:
    answer = create_app(StandIn()).test_client().post("/predict", data="{")
    assert answer.status_code == 400
    assert "error" in answer.json


def test_it_is_ready_and_says_its_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTFERRY_RELEASE", "churn-2026-11-21.1")
    monkeypatch.setenv("NIGHTFERRY_MODEL", "v1")
    client = create_app(StandIn()).test_client()
    assert client.get("/health").status_code == 200
    assert client.get("/version").json == {"release": "churn-2026-11-21.1", "model": "v1"}
