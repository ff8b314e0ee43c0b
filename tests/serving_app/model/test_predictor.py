"""One thread for each request under load, all of them for a request that is alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving_app.app import create_app
from serving_app.model import predictor
from serving_app.model.model_dir import read
from serving_app.model.predictor import Predictor
from serving_app.runtime.metrics import Metrics
from serving_app.settings import Settings
from tests.serving_app.models import picture, score_body, write_shades


class Watched:
    """A session that notes with how many threads it was asked to compute."""

    def __init__(self, session: Any, threads: int, computed: list[int]) -> None:
        self._sess = self
        self.session, self.threads, self.computed = session, threads, computed
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs

    def run(self, *words: Any) -> Any:
        self.computed.append(self.threads)
        return self.session.run(*words)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads of each inference."""
    found: list[int] = []
    opened = predictor._session
    monkeypatch.setattr(predictor, "_session", lambda model, threads: Watched(opened(model, threads), threads, found))
    return found


def inputs(model: Any) -> dict[str, Any]:
    (tensor,) = model.inputs
    return {tensor.name: np.zeros([abs(size) for size in tensor.shape], np.float32)}


def test_a_request_that_is_alone_has_all_threads(tmp_path: Path, computed: list[int]) -> None:
    model = read(write_shades(tmp_path / "m"))
    alone = True
    one = Predictor(model, threads=2, alone=lambda: alone)
    one.run(inputs(model))
    one.add_threads(inputs(model), "zeros")
    computed.clear()
    one.run(inputs(model))
    alone = False
    one.run(inputs(model))
    assert computed == [2, 1]


def test_on_one_processor_there_is_nothing_to_add(tmp_path: Path, computed: list[int]) -> None:
    model = read(write_shades(tmp_path / "m"))
    one = Predictor(model, threads=1)
    one.add_threads(inputs(model), "zeros")
    one.run(inputs(model))
    assert computed == [1]


@pytest.mark.parametrize(("others", "threads"), [(0, 2), (1, 1)])
def test_what_the_other_workers_answer_counts(tmp_path: Path, computed: list[int], others: int, threads: int) -> None:
    metrics = Metrics(2)
    model = write_shades(tmp_path / "m", slow=3)
    app = create_app(Settings(model_dir=model, model_threads=2), metrics=metrics, row=metrics.rows[0])
    metrics.rows[1].in_flight(others)
    computed.clear()
    assert app.test_client().post("/score", json=score_body(picture(255))).status_code == 200
    assert computed == [threads]
