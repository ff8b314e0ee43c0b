"""Whatever is sent: a 4xx, a problem document that names the field, and the next request is answered."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from serving_app.app import create_app
from serving_app.settings import Settings
from tests.serving_app.models import picture, score_body, text

GOOD = {"name": "image", "datatype": "FP32", "shape": [1, 4], "data": [0.1, 0.2, 0.3, 0.4]}


def tensor(**changes: Any) -> bytes:
    return json.dumps({"inputs": [{**GOOD, **changes}]}).encode()


def score(*items: Any) -> bytes:
    return json.dumps({"input": json.dumps(list(items))}).encode()


def huge_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (2000, 2000)).save(buffer, "PNG")
    return buffer.getvalue()


def many_scans() -> bytes:
    """A progressive JPEG whose last pass comes a hundred times: few bytes, much work."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 100 + data[-2:]


def long_text_chunk() -> bytes:
    """A PNG whose compressed comment unpacks to two million bytes."""
    info = PngInfo()
    info.add_text("Comment", "a" * 2_000_000, zip=True)
    buffer = io.BytesIO()
    Image.new("L", (2, 2)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def claims(width: int, height: int) -> bytes:
    """A small PNG whose head claims another size."""
    data = picture(0)
    head = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]


def animated() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("L", (4, 4), value) for value in (255, 0, 9)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


SCORE = [
    ("not JSON", b"{", "body"),
    ("not UTF-8", b'{"input": "\xff"}', "body"),
    ("empty body", b"", "body"),
    ("a list", b"[]", "body"),
    ("NaN", b'{"input": NaN}', "body"),
    ("nested too deeply", b'{"input": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "body"),
    ("no input", b"{}", "input"),
    ("input a number", b'{"input": 3}', "input"),
    ("input no JSON text", b'{"input": "[oops"}', "input"),
    ("input an object", b'{"input": "{}"}', "input"),
    ("no picture", score(), "input"),
    ("too many pictures", score(*[text(picture(0))] * 9), "input"),
    ("a number for a picture", score(3), "input[0]"),
    ("a list for a picture", score(text(picture(0)), []), "input[1]"),
    ("not base64", score("%%%"), "input[0]"),
    ("base64 cut short", score(text(picture(0))[:-3]), "input[0]"),
    ("not ASCII", score("ä"), "input[0]"),
    ("empty text", score(""), "input[0]"),
    ("only b''", score("b''"), "input[0]"),
    ("not a picture", score(text(b"hello, I am text")), "input[0]"),
    ("truncated PNG", score(text(picture(7, size=60)[:50])), "input[0]"),
    ("only a PNG's first bytes", score(text(picture(0)[:8])), "input[0]"),
    ("truncated JPEG", score(text(picture(7, size=60, kind="JPEG")[:200])), "input[0]"),
    ("truncated GIF", score(text(picture(7, kind="GIF")[:12])), "input[0]"),
    ("truncated WebP", score(text(picture(7, kind="WEBP")[:20])), "input[0]"),
    ("truncated BMP", score(text(picture(7, kind="BMP")[:20])), "input[0]"),
    ("a comment that unpacks to much", score(text(long_text_chunk())), "input[0]"),
    ("a JPEG of a hundred passes", score(text(many_scans())), "input[0]"),
    ("claims of a huge size", score(text(claims(2**31 - 1, 2**31 - 1))), "input[0]"),
    ("no pixels", score(text(claims(0, 0))), "input[0]"),
    ("claims of lines that are not there", score(text(claims(300, 300))), "input[0]"),
    ("too many pixels together", score(*[text(picture(0, size=250))] * 2), "input[1]"),
    ("the list nested too deeply", b'{"input": "' + b"[" * 50_000 + b"]" * 50_000 + b'"}', "input"),
    ("more pixels than allowed", score(text(huge_picture())), "input[0]"),
]

INFER = [
    ("not JSON", b"nope", "body"),
    ("no inputs", b"{}", "inputs"),
    ("inputs an object", b'{"inputs": {}}', "inputs"),
    ("no tensor", b'{"inputs": []}', "inputs"),
    ("a tensor that is a text", b'{"inputs": ["x"]}', "inputs[0]"),
    ("wrong name", tensor(name="picture"), "inputs[0].name"),
    ("name a list", tensor(name=["image"]), "inputs[0].name"),
    ("the same twice", json.dumps({"inputs": [GOOD, GOOD]}).encode(), "inputs[1].name"),
    ("wrong datatype", tensor(datatype="INT64"), "inputs[0].datatype"),
    ("no datatype", tensor(datatype=None), "inputs[0].datatype"),
    ("wrong shape", tensor(shape=[1, 5], data=[0] * 5), "inputs[0].shape"),
    ("too few dimensions", tensor(shape=[4]), "inputs[0].shape"),
    ("shape of texts", tensor(shape=["1", "4"]), "inputs[0].shape"),
    ("negative shape", tensor(shape=[-1, 4]), "inputs[0].shape"),
    ("shape true", tensor(shape=[True, 4]), "inputs[0].shape"),
    ("no rows", tensor(shape=[0, 4], data=[]), "inputs[0].shape"),
    ("too many rows", tensor(shape=[9, 4], data=[0] * 36), "inputs[0].shape"),
    ("no data", json.dumps({"inputs": [{k: v for k, v in GOOD.items() if k != "data"}]}).encode(), "inputs[0].data"),
    ("data a number", tensor(data=3), "inputs[0].data"),
    ("too little data", tensor(data=[1, 2, 3]), "inputs[0].data"),
    ("ragged data", tensor(data=[[1, 2], [3]]), "inputs[0].data"),
    ("texts for numbers", tensor(data=["1", "2", "3", "4"]), "inputs[0].data"),
    ("null for a list", tensor(data=None), "inputs[0].data"),
    ("null beside a text", tensor(data=[1, 2, "3", None]), "inputs[0].data"),
    ("booleans for numbers", tensor(data=[True, False, True, True]), "inputs[0].data"),
    ("larger than FP32", tensor(data=[1e39, 0, 0, 0]), "inputs[0].data"),
    ("deep data", b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 4], "data": ' + b"[" * 200 + b"1"
        + b"]" * 200 + b"}]}", "inputs[0].data"),
    ("id a number", json.dumps({"id": 1, "inputs": [GOOD]}).encode(), "id"),
    ("parameters a list", tensor(parameters=[]), "inputs[0].parameters"),
    ("NaN", b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 4], "data": [NaN, 0, 0, 0]}]}', "body"),
    ("an object for data", tensor(data={"0": 1}), "inputs[0].data"),
    ("a shape too large to multiply", tensor(shape=[2**62, 4]), "inputs[0].shape"),
    ("an output twice", json.dumps({"inputs": [GOOD], "outputs": [{"name": "scores"}] * 2}).encode(),
        "outputs[1].name"),
    ("an extension that is not spoken", tensor(parameters={"shared_memory_region": "r"}),
        "inputs[0].parameters.shared_memory_region"),
    ("binary data without its header", tensor(parameters={"binary_data_size": 16}),
        "inputs[0].parameters.binary_data_size"),
    ("binary output perhaps", json.dumps({"inputs": [GOOD], "parameters": {"binary_data_output": 1}}).encode(),
        "parameters.binary_data_output"),
    ("outputs a text", json.dumps({"inputs": [GOOD], "outputs": "scores"}).encode(), "outputs"),
    ("unknown output", json.dumps({"inputs": [GOOD], "outputs": [{"name": "x"}]}).encode(), "outputs[0].name"),
    ("pictures and another shape", tensor(datatype="BYTES", shape=[2], data=[text(picture(0))]), "inputs[0].shape"),
    ("broken picture", tensor(datatype="BYTES", shape=[1], data=["x"]), "inputs[0].data[0]"),
]  # fmt: skip


def refused(answer: Any, status: int, field: str) -> None:
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["field"] == field
    assert answer.json["detail"]
    assert answer.json["error"] == answer.json["detail"]
    assert "Traceback" not in answer.text


def still_answers(client: FlaskClient) -> None:
    assert client.post("/score", json=score_body(picture(255))).json["result"][0][0][0][0] == "light"


@pytest.mark.parametrize(("body", "field"), [case[1:] for case in SCORE], ids=[case[0] for case in SCORE])
def test_score_refuses(client: FlaskClient, body: bytes, field: str) -> None:
    refused(client.post("/score", data=body, content_type="application/json"), 400, field)
    still_answers(client)


@pytest.mark.parametrize(("body", "field"), [case[1:] for case in INFER], ids=[case[0] for case in INFER])
def test_infer_refuses(client: FlaskClient, body: bytes, field: str) -> None:
    refused(client.post("/v2/models/shades/infer", data=body, content_type="application/json"), 400, field)
    still_answers(client)


def test_a_missing_input_is_named(sum_client: FlaskClient) -> None:
    body = {"inputs": [{"name": "a", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    answer = sum_client.post("/v2/models/sum/infer", json=body)
    refused(answer, 400, "inputs")
    assert "b is missing" in answer.json["detail"]


@pytest.mark.parametrize("data", [[2**63, 1], [1.5, 1], [2**70, 1]])
def test_a_number_that_the_type_does_not_hold(sum_client: FlaskClient, data: list[object]) -> None:
    a = {"name": "a", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    body = {"inputs": [a, {"name": "b", "datatype": "INT64", "shape": [1, 2], "data": data}]}
    refused(sum_client.post("/v2/models/sum/infer", json=body), 400, "inputs[1].data")


def test_score_of_a_model_without_labels(sum_client: FlaskClient) -> None:
    refused(sum_client.post("/score", json={"input": "[[1, 2]]"}), 400, "input")


@pytest.mark.parametrize("path", ["/score", "/v2/models/shades/infer"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/octet-stream"]
)
def test_another_content_type_is_415(client: FlaskClient, path: str, kind: str) -> None:
    refused(client.post(path, data=b"{}", content_type=kind), 415, "Content-Type")


def test_score_without_a_content_type_is_415(client: FlaskClient) -> None:
    refused(client.post("/score", data=b"{}"), 415, "Content-Type")


def test_json_with_a_charset_is_json(client: FlaskClient) -> None:
    answer = client.post("/score", data=score(text(picture(0))), content_type="application/json; charset=utf-8")
    assert answer.status_code == 200


def test_a_compressed_body_is_415(client: FlaskClient) -> None:
    headers = {"Content-Encoding": "gzip"}
    refused(client.post("/score", data=b"x", content_type="application/json", headers=headers), 415, "Content-Encoding")


@pytest.mark.parametrize("path", ["/score", "/v2/models/shades/infer"])
@pytest.mark.parametrize(
    ("item", "words"), [(b"[]", "more lists"), (b"{}", "more lists"), (b"0", "more values"), (b'""', "more values")]
)
def test_more_than_any_request_holds_is_not_parsed(picture_dir: Path, path: str, item: bytes, words: str) -> None:
    client = create_app(Settings(model_dir=picture_dir)).test_client()
    member = b"input" if path == "/score" else b"inputs"
    body = b'{"' + member + b'": [' + b",".join([item] * 200_000) + b"]}"
    answer = client.post(path, data=body, content_type="application/json")
    refused(answer, 400, "body")
    assert words in answer.json["detail"]


def test_the_largest_request_is_taken(picture_dir: Path) -> None:
    client = create_app(Settings(model_dir=picture_dir, max_batch=20_000)).test_client()
    rows = [[0.123456789, 1, 1, 0.5]] * 20_000
    body = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [20_000, 4], "data": rows}]}
    assert client.post("/v2/models/shades/infer", json=body).status_code == 200


def test_a_body_over_the_limit_is_413(client: FlaskClient) -> None:
    refused(client.post("/score", data=b" " * 200_001, content_type="application/json"), 413, "body")
    still_answers(client)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v2/models/other/infer", "model"),
        ("/v2/models/shades/versions/v2/infer", "version"),
        ("/nowhere", "path"),
        ("/v2/models/../../etc/passwd", "path"),
        ("/v2/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd/infer", "path"),
        ("/v2/models/%00/infer", "model"),
        ("/v2/models/%ff%fe/infer", "model"),
        ("//score", "path"),
        ("/score/", "path"),
        ("/score;x=1", "path"),
    ],
)
def test_what_is_not_here_is_404(client: FlaskClient, path: str, field: str) -> None:
    refused(client.post(path, json={}), 404, field)


def test_unknown_model_metadata_is_404(client: FlaskClient) -> None:
    refused(client.get("/v2/models/other"), 404, "model")
    refused(client.get("/v2/models/other/ready"), 404, "model")


def test_another_method_is_405(client: FlaskClient) -> None:
    answer = client.get("/score")
    refused(answer, 405, "method")
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("size", [1, 3])
def test_tiny_pictures_are_pictures(client: FlaskClient, size: int) -> None:
    assert client.post("/score", json=score_body(picture(255, size=size))).status_code == 200


def test_of_an_animation_the_first_frame_counts(client: FlaskClient) -> None:
    assert client.post("/score", json=score_body(animated())).json["result"][0][0][0][0] == "light"


def test_a_model_that_raises_is_500_without_its_words(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from serving_app.model.predictor import Predictor

    def broken(self: Predictor, inputs: object) -> None:
        raise RuntimeError("secret inner words")

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "run", broken)
        answer = client.post("/score", json=score_body(picture(0)), headers={"X-Request-Id": "r-1"})
    assert answer.status_code == 500
    assert answer.content_type == "application/problem+json"
    assert answer.json["request_id"] == "r-1"
    assert "secret" not in answer.text
    assert client.get("/readyz").status_code == 200
    still_answers(client)
