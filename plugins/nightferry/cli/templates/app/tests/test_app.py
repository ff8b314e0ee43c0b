"""The app without its model: a stand-in says what it was asked."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))  # in the image it is there already

from app import create_app


class Half:
    """Answers 0.5 for each row."""

    asked: Any = None

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        self.asked = rows
        return np.full((len(rows), 2), 0.5)


@pytest.fixture
def model() -> Half:
    return Half()


@pytest.fixture
def client(model: Half) -> Any:
    return create_app(model).test_client()


def test_each_row_has_an_answer(client: Any, model: Half) -> None:
    rows = [{"plan": "pro", "months": 2, "calls": 1}, {"plan": "free", "months": 30.5, "calls": 0}]
    answer = client.post("/predict", json={"rows": rows})
    assert (answer.status_code, answer.json) == (200, {"churn": [0.5, 0.5]})
    assert model.asked.tolist() == [["pro", 2.0, 1.0], ["free", 30.5, 0.0]]


def test_what_is_missing_is_none_or_nan(client: Any, model: Half) -> None:
    assert client.post("/predict", json={"rows": [{"months": None}]}).status_code == 200
    ((plan, months, calls),) = model.asked.tolist()
    assert plan is None
    assert math.isnan(months)
    assert math.isnan(calls)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"rows": 3}',
        '{"rows": []}',
        '{"rows": [3]}',
        '{"rows": [{"plam": "pro"}]}',
        '{"rows": [{"plan": 3}]}',
        '{"rows": [{"months": "many"}]}',
        '{"rows": [{"months": true}]}',
        '{"rows": [{"months": NaN}]}',
        '{"rows": [{"months": 1' + "0" * 400 + "}]}",
    ],
)
def test_a_bad_body_is_answered_with_400_and_a_sentence(client: Any, model: Half, body: str) -> None:
    answer = client.post("/predict", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"].endswith(".")
    assert model.asked is None


def test_it_says_that_it_is_ready_and_which_release_it_is(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTFERRY_RELEASE", "SERVICE_NAME-2026-11-21.1")
    monkeypatch.setenv("NIGHTFERRY_MODEL", "v1")
    assert client.get("/health").status_code == 200
    assert client.get("/version").json == {"release": "SERVICE_NAME-2026-11-21.1", "model": {"version": "v1"}}
