"""Requests that are kept for the comparison with a next release: which ones, what of them, and how much."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from serving_app import settings
from serving_app.app import create_app
from serving_app.command import main
from serving_app.errors import StartError
from serving_app.http.front import Front
from serving_app.http.head import Head, complete
from serving_app.inputs.binary import HEADER
from serving_app.inputs.recorder import Recorder
from serving_app.model.labels import best_labels
from serving_app.model.model_dir import ModelDir, Tensor
from serving_app.runtime.kept import BYTES, PART, Shelf, Shelves
from serving_app.settings import Settings
from tests.serving_app.models import picture, score_body, text, write_echo

INFER = "/v2/models/sum/infer"


@dataclass
class Keeping:
    """An app that keeps requests, as a worker would."""

    client: FlaskClient
    front: Front
    shelves: Shelves
    shelf: Shelf
    model: ModelDir

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What is told of them."""
        self.shelves._told[0] = float("-inf")
        return list(json.loads(self.client.get("/recorded").data)["requests"])


def keeping(folder: Path, most: int = 10, omit: tuple[str, ...] = ()) -> Keeping:
    shelves = Shelves(most)
    app = create_app(Settings(model_dir=folder, max_batch=8, max_pixels=100_000), kept=shelves)
    parts = app.extensions["serving"]
    parts.service.recorder = Recorder(parts.service.model, shelves.rows[0], omit)
    return Keeping(app.test_client(), Front(parts.service, parts.plain), shelves, shelves.rows[0], parts.service.model)


def summands(*values: float) -> dict[str, Any]:
    """An infer request of the model that adds."""
    rows = len(values)
    return {
        "id": "user-7",
        "inputs": [
            {"name": "a", "datatype": "FP32", "shape": [rows, 2], "data": [v for v in values for _ in (0, 1)]},
            {"name": "b", "datatype": "INT64", "shape": [rows, 2], "data": [1] * 2 * rows},
        ],
    }


def post(path: str, document: Any, **fields: str) -> tuple[Head, bytes]:
    """A request as the service's own server has it."""
    body = json.dumps(document).encode()
    named = {name.encode(): value.encode() for name, value in fields.items()}
    named |= {b"host": b"x", b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    return complete("POST", path.encode(), "1.1", named, keep=True), body


def test_inputs_are_kept_and_nothing_else_of_a_request(tensor_dir: Path) -> None:
    kept = keeping(tensor_dir)
    assert kept.client.post(INFER, json=summands(0.1, 2.5), headers={"X-Request-Id": "mine"}).status_code == 200
    (request,) = kept.requests
    assert request == {"inputs": summands(0.1, 2.5)["inputs"], "omitted": [], "labels": None}


def test_what_is_kept_can_be_asked_again_and_gets_the_same_answer(picture_dir: Path) -> None:
    kept = keeping(picture_dir)
    kept.client.post("/score", json=score_body(picture(0), picture(255)))
    (request,) = kept.requests
    assert request["labels"] == ["dark", "light"]
    assert request["inputs"][0]["data"] == [text(picture(0)), text(picture(255))]
    again = kept.client.post("/v2/models/shades/infer", json={"inputs": request["inputs"]})
    assert np.argmax(np.reshape(again.json["outputs"][0]["data"], (2, 3)), axis=1).tolist() == [0, 2]


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_missing_numbers_of_every_kind_are_kept_as_missing(tmp_path: Path, datatype: str) -> None:
    kept = keeping(write_echo(tmp_path / "echo", datatype))
    numbers = {"inputs": [{"name": "x", "datatype": datatype, "shape": [3], "data": [0.1, None, -2.5]}]}
    assert kept.client.post("/v2/models/echo/infer", json=numbers).status_code == 200
    first, *rest = kept.requests[0]["inputs"][0]["data"]
    assert first == pytest.approx(0.1, abs=1e-4)
    assert rest == [None, -2.5]


@pytest.mark.parametrize(
    ("scores", "shape", "said"),
    [
        ([[0.2, 0.8], [0.6, 0.4]], (2, 2), ["yes", "no"]),
        ([[0.8], [0.5], [0.4]], (3, 1), ["yes", "no", "no"]),
        ([0.8, 0.4], (2,), ["yes", "no"]),
    ],
)
def test_the_labels_are_those_of_the_answer(tensor_dir: Path, scores: Any, shape: tuple[int, ...], said: Any) -> None:
    kept = keeping(tensor_dir)
    model = replace(kept.model, labels=("no", "yes"), scored=Tensor("sum", "FP32", (-1, *shape[1:])))
    outputs = {"sum": np.array(scores, np.float32).reshape(shape)}
    inputs = {"a": np.zeros((1, 2), np.float32), "b": np.zeros((1, 2), np.int64)}
    Recorder(model, kept.shelf).keep(inputs, {}, outputs)
    assert kept.requests[0]["labels"] == said == [best[0][0] for best in best_labels(outputs["sum"], model)]


def test_pictures_in_binary_are_kept_as_the_texts_that_stand_for_them(picture_dir: Path) -> None:
    kept = keeping(picture_dir)
    tensor = struct.pack("<I", len(picture(255))) + picture(255)
    entry = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"binary_data_size": len(tensor)},
    }
    head = json.dumps({"inputs": [entry]}).encode()
    answer = kept.client.post("/v2/models/shades/infer", data=head + tensor, headers={HEADER: str(len(head))})
    assert answer.status_code == 200
    assert kept.requests[0]["inputs"][0]["data"] == [text(picture(255))]


def test_missing_numbers_and_texts_are_kept_as_they_are_sent(tmp_path: Path, tensor_dir: Path) -> None:
    kept = keeping(tensor_dir)
    document = summands(1.5)
    document["inputs"][0]["data"][1] = None
    assert kept.client.post(INFER, json=document).status_code == 200
    assert kept.requests[0]["inputs"][0]["data"] == [1.5, None]

    kept = keeping(write_echo(tmp_path / "echo", "BYTES"))
    words = {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [2], "data": ["a", "ü"]}]}
    assert kept.client.post("/v2/models/echo/infer", json=words).status_code == 200
    assert kept.requests[0]["inputs"] == words["inputs"]


def test_the_short_cut_keeps_as_flask_does(tensor_dir: Path) -> None:
    kept = keeping(tensor_dir)
    head, body = post(INFER, summands(1.5))
    read = kept.front.quick(head)
    assert read is not None
    assert kept.front.predict(read, body, "r").status == 200
    assert kept.requests[0]["inputs"] == summands(1.5)["inputs"]


def test_probes_are_not_kept(tensor_dir: Path) -> None:
    kept = keeping(tensor_dir)
    head, body = post(INFER, summands(1.5), **{"x-serving-record": "0"})
    read = kept.front.quick(head)
    assert read is not None
    assert kept.front.predict(read, body, "r").status == 200
    assert kept.client.post(INFER, json=summands(1.5), headers={"X-Serving-Record": "0"}).status_code == 200
    assert kept.client.post("/score", json={"input": "[]"}, headers={"X-Serving-Record": "0"}).status_code == 400
    assert kept.requests == []


def test_a_request_that_is_refused_is_not_kept(tensor_dir: Path) -> None:
    kept = keeping(tensor_dir)
    assert kept.client.post(INFER, json={"inputs": summands(1.5)["inputs"][:1]}).status_code == 400
    assert kept.requests == []


def test_an_input_that_is_left_out_is_nowhere_in_memory(tensor_dir: Path) -> None:
    kept = keeping(tensor_dir, omit=("a",))
    kept.client.post(INFER, json=summands(123456.75))
    assert kept.requests == [{"inputs": summands(1.0)["inputs"][1:], "omitted": ["a"], "labels": None}]
    assert b"123456.75" not in bytes(kept.shelf._memory)


def test_leaving_out_what_the_model_has_not_stops_the_start(tensor_dir: Path) -> None:
    with pytest.raises(StartError, match="SERVING_RECORD_OMIT names 'salary', which is no input of sum v1"):
        keeping(tensor_dir, omit=("a", "salary"))


def test_the_last_ones_are_kept(tensor_dir: Path) -> None:
    kept = keeping(tensor_dir, most=3)
    for value in range(5):
        kept.client.post(INFER, json=summands(value))
    assert [request["inputs"][0]["data"][0] for request in kept.requests] == [2.0, 3.0, 4.0]


def test_a_fault_while_keeping_is_no_fault_of_the_request(tensor_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = keeping(tensor_dir)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(kept.shelf, "keep", broken)
    assert kept.client.post(INFER, json=summands(1)).status_code == 200


def test_without_the_setting_nothing_is_kept_or_told(client: FlaskClient) -> None:
    assert client.post("/score", json=score_body(picture(0))).status_code == 200
    assert client.get("/recorded").status_code == 404


def test_one_reading_in_a_second_is_answered(tensor_dir: Path) -> None:
    kept = keeping(tensor_dir)
    assert [kept.client.get("/recorded").status_code for _ in range(3)] == [200, 503, 503]
    kept.shelves._told[0] -= 1
    assert kept.client.get("/recorded").status_code == 200


def test_the_memory_is_fixed_and_the_oldest_go_first() -> None:
    shelves = Shelves(1000, workers=2)
    shelf = shelves.rows[0]
    for number in range(300):
        shelf.keep(b'"%06d%s"' % (number, b"x" * 50_000), float(number))
    told = json.loads(shelves.text())["requests"]
    assert sum(map(len, told)) <= BYTES // 2
    assert [int(each[:6]) for each in told] == list(range(300 - len(told), 300))
    assert len(told) > 60


def test_a_request_that_is_too_large_is_counted_and_pushes_nobody_out(tensor_dir: Path) -> None:
    shelves = Shelves(10, workers=2)
    shelves.rows[0].keep(b"1", 1.0)
    shelves.rows[1].keep(b"0" * (BYTES // 2 // PART + 1), 2.0)
    document = json.loads(shelves.text())
    assert (document["requests"], document["too_large"]) == ([1], 1)


def test_a_large_request_is_passed_over_before_any_work_is_done_on_it(
    tensor_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keeping(tensor_dir)
    recorder = Recorder(create_app(Settings(model_dir=tensor_dir)).extensions["serving"].service.model, kept.shelf)
    monkeypatch.setattr("serving_app.inputs.recorder.orjson", None)
    huge = np.zeros((BYTES, 1), np.float32)
    recorder.keep({"a": huge, "b": huge}, {}, {})
    assert kept.shelf.too_large == 1


def test_workers_requests_are_told_together_in_the_order_of_their_answers() -> None:
    shelves = Shelves(3, workers=2)
    for number, row in enumerate((0, 1, 1, 0, 1)):
        shelves.rows[row].keep(b"%d" % number, float(number))
    assert json.loads(shelves.text())["requests"] == [2, 3, 4]


def test_what_is_overwritten_while_it_is_read_is_left_out() -> None:
    shelves = Shelves(4)
    shelf = shelves.rows[0]
    for number in range(3):
        shelf.keep(b'"request %d"' % number, float(number))
    shelf._data[2:5] = b"???"  # the first one, half overwritten
    assert json.loads(shelves.text())["requests"] == ["request 1", "request 2"]


def test_users_do_not_get_what_users_asked(
    picture_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a port of its own it would be told where everybody asks."""
    monkeypatch.setenv("SERVING_RECORD_REQUESTS", "5")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["--model-dir", str(picture_dir)]) == 2
    assert "SERVING_STATUS_PORT" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("SERVING_RECORD_REQUESTS", "1001"), ("SERVING_RECORD_REQUESTS", "-1")])
def test_settings_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(StartError, match="from 0 to 1000"):
        settings.load({name: value})


def test_settings_that_are_taken() -> None:
    read: Callable[..., Settings] = lambda **environ: settings.load(environ)  # noqa: E731
    found = read(SERVING_RECORD_REQUESTS="1000", SERVING_RECORD_OMIT="plan, calls,")
    assert (found.record_requests, found.record_omit) == (1000, ("plan", "calls"))
    assert (read().record_requests, read().record_omit) == (0, ())
