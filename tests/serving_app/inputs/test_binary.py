"""The binary tensor data extension: tensors as bytes behind the JSON, in requests and in answers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from serving_app.app import create_app
from serving_app.model.model_dir import DATATYPES
from serving_app.settings import Settings
from tests.serving_app import models
from tests.serving_app.models import picture, text

HEADER = "Inference-Header-Content-Length"
A = np.array([[1.5, 2.5]], "<f4")
B = np.array([[10, -20]], "<i8")


def entry(name: str, array: np.ndarray, datatype: str, **changes: Any) -> dict[str, Any]:
    parameters = {"binary_data_size": array.nbytes}
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "parameters": parameters, **changes}


def send(client: FlaskClient, document: dict[str, Any], tail: bytes = b"", size: str | None = None) -> Any:
    head = json.dumps(document).encode()
    model = client.get("/v2/models/sum").status_code == 200
    return client.post(
        f"/v2/models/{'sum' if model else 'shades'}/infer",
        data=head + tail,
        headers={HEADER: size if size is not None else str(len(head))},
    )


def parts(answer: Any) -> tuple[dict[str, Any], bytes]:
    """Return an answer's JSON and the bytes behind it."""
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "application/octet-stream"
    size = int(answer.headers[HEADER])
    return json.loads(answer.data[:size]), answer.data[size:]


def test_binary_in_json_out(sum_client: FlaskClient) -> None:
    answer = send(sum_client, {"inputs": [entry("a", A, "FP32"), entry("b", B, "INT64")]}, A.tobytes() + B.tobytes())
    assert answer.content_type == "application/json"
    assert HEADER not in answer.headers
    assert answer.json["outputs"] == [{"name": "sum", "datatype": "FP32", "shape": [1, 2], "data": [11.5, -17.5]}]


def test_json_and_binary_inputs_mix_and_numbers_may_begin_anywhere(sum_client: FlaskClient) -> None:
    for pad in range(8):  # a longer id moves the numbers by a byte
        json_a = {"name": "a", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
        document = {"id": "x" * pad, "inputs": [entry("b", B, "INT64"), json_a]}
        assert send(sum_client, document, B.tobytes()).json["outputs"][0]["data"] == [11, -18]


@pytest.mark.parametrize(
    "asked",
    [
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "sum", "parameters": {"binary_data": True}}]},
        {"outputs": [{"name": "sum"}], "parameters": {"binary_data_output": True}},
    ],
)
def test_binary_out(sum_client: FlaskClient, asked: dict[str, Any]) -> None:
    document = {"id": "7", "inputs": [entry("a", A, "FP32"), entry("b", B, "INT64")], **asked}
    head, tail = parts(send(sum_client, document, A.tobytes() + B.tobytes()))
    (output,) = head["outputs"]
    assert head["id"] == "7"
    assert output == {"name": "sum", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    assert np.frombuffer(tail, "<f4").tolist() == [11.5, -17.5]


def test_an_output_may_decline_what_the_request_asks(sum_client: FlaskClient) -> None:
    document = {
        "inputs": [entry("a", A, "FP32"), entry("b", B, "INT64")],
        "outputs": [{"name": "sum", "parameters": {"binary_data": False}}],
        "parameters": {"binary_data_output": True},
    }
    assert send(sum_client, document, A.tobytes() + B.tobytes()).json["outputs"][0]["data"] == [11.5, -17.5]


def test_json_in_binary_out(client: FlaskClient) -> None:
    inputs = [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [text(picture(255))]}]
    body = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    _, tail = parts(client.post("/v2/models/shades/infer", json=body))
    assert int(np.frombuffer(tail, "<f4").argmax()) == 2


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_pictures_are_sent_as_they_are_or_as_base64(client: FlaskClient, shape: list[int]) -> None:
    items = [picture(0, size=9), text(picture(255)).encode()]
    tail = b"".join(struct.pack("<I", len(item)) + item for item in items)
    image = {"name": "image", "datatype": "BYTES", "shape": shape, "parameters": {"binary_data_size": len(tail)}}
    (output,) = send(client, {"inputs": [image]}, tail).json["outputs"]
    assert np.array(output["data"]).reshape(output["shape"]).argmax(axis=1).tolist() == [0, 2]


def test_a_raw_body_is_the_one_input(client: FlaskClient) -> None:
    rows = np.array([[0, 0, 0, 0], [1, 1, 1, 1]], "<f4")
    answer = client.post("/v2/models/shades/infer", data=rows.tobytes(), headers={HEADER: "0"})
    head, tail = parts(answer)
    assert head["outputs"][0]["shape"] == [2, 3]
    assert np.frombuffer(tail, "<f4").reshape(2, 3).argmax(axis=1).tolist() == [0, 2]


@pytest.mark.parametrize("datatype", sorted(DATATYPES))
def test_every_datatype_goes_there_and_back(tmp_path: Path, datatype: str) -> None:
    client, values = echo(tmp_path / "echo", datatype)
    if datatype == "BYTES":
        tail = b"".join(struct.pack("<I", len(v.encode())) + v.encode() for v in values)
    else:
        tail = np.array(values, np.dtype(DATATYPES[datatype]).newbyteorder("<")).tobytes()
    image = {"name": "x", "datatype": datatype, "shape": [3], "parameters": {"binary_data_size": len(tail)}}
    document = {"inputs": [image], "parameters": {"binary_data_output": True}}
    head = json.dumps(document).encode()
    answer = client.post("/v2/models/echo/infer", data=head + tail, headers={HEADER: str(len(head))})
    assert parts(answer)[1] == tail
    inputs = [{"name": "x", "datatype": datatype, "shape": [3], "data": values}]
    assert client.post("/v2/models/echo/infer", json={"inputs": inputs}).json["outputs"][0]["data"] == values


def echo(folder: Path, datatype: str) -> tuple[FlaskClient, list[Any]]:
    """Return a client of a model that answers what it is given, and three values of the type."""
    models.write_echo(folder, datatype)
    values: list[Any] = {"BYTES": ["", "ä", "xyz"], "BOOL": [True, False, True]}.get(datatype, [0, 1, 100])
    return create_app(Settings(model_dir=folder)).test_client(), values


BOTH = A.tobytes() + B.tobytes()
GOOD = [entry("a", A, "FP32"), entry("b", B, "INT64")]
BAD = [
    ("size beyond the body", GOOD, BOTH, "100000", HEADER),
    ("size no number", GOOD, BOTH, "x", HEADER),
    ("size negative", GOOD, BOTH, "-1", HEADER),
    ("size with a sign", GOOD, BOTH, "+5", HEADER),
    ("size of two hundred digits", GOOD, BOTH, "9" * 200, HEADER),
    ("size in other digits", GOOD, BOTH, "\xb2", HEADER),
    ("size in the middle of the JSON", GOOD, BOTH, "10", "body"),
    ("raw for two inputs", GOOD, BOTH, "0", HEADER),
    ("bytes too few", GOOD, BOTH[:-1], None, "inputs[1].parameters.binary_data_size"),
    ("bytes too many", GOOD, BOTH + b"x", None, "body"),
    ("not the shape's size", [entry("a", B, "FP32"), GOOD[1]], BOTH + BOTH, None, "inputs[0]"),
    ("size a text", [{**GOOD[0], "parameters": {"binary_data_size": "8"}}], BOTH, None,
        "inputs[0].parameters.binary_data_size"),
    ("size below zero", [{**GOOD[0], "parameters": {"binary_data_size": -8}}], BOTH, None,
        "inputs[0].parameters.binary_data_size"),
    ("size true", [{**GOOD[0], "parameters": {"binary_data_size": True}}], BOTH, None,
        "inputs[0].parameters.binary_data_size"),
    ("data beside it", [{**GOOD[0], "data": [1, 2]}, GOOD[1]], BOTH, None, "inputs[0].data"),
    ("another datatype", [{**GOOD[0], "datatype": "FP64"}, GOOD[1]], BOTH, None, "inputs[0].datatype"),
    ("another shape", [{**GOOD[0], "shape": [2, 1]}, GOOD[1]], BOTH, None, "inputs[0].shape"),
    ("not finite", GOOD, np.array([np.inf, 1], "<f4").tobytes() + B.tobytes(), None, "inputs[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("inputs", "tail", "size", "field"), [case[1:] for case in BAD], ids=[c[0] for c in BAD])
def test_what_does_not_fit_is_refused(
    sum_client: FlaskClient, inputs: list[Any], tail: bytes, size: str | None, field: str
) -> None:
    answer = send(sum_client, {"inputs": inputs}, tail, size)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert answer.json["field"] == field
    assert send(sum_client, {"inputs": GOOD}, BOTH).status_code == 200


@pytest.mark.parametrize(
    ("tail", "shape", "field"),
    [
        (struct.pack("<I", 2**32 - 1), [1], "inputs[0][0]"),
        (b"\0\0", [1], "inputs[0][0]"),
        (b"", [1], "inputs[0]"),
        (b"\0" * 8, [1], "inputs[0]"),
        (b"\0" * 4, [1], "inputs[0][0]"),
        (b"\0" * 4, [2**62], "inputs[0].shape"),
        (b"\0" * 4, [9], "inputs[0].shape"),
        (b"\0" * 4, "x", "inputs[0].shape"),
    ],
)
def test_elements_that_do_not_fit_are_refused(client: FlaskClient, tail: bytes, shape: Any, field: str) -> None:
    image = {"name": "image", "datatype": "BYTES", "shape": shape, "parameters": {"binary_data_size": len(tail)}}
    answer = send(client, {"inputs": [image]}, tail)
    assert (answer.status_code, answer.json["field"]) == (400, field)


@pytest.mark.parametrize("body", [b"", b"\0" * 15, b"\0" * 17, b"\0" * 16 * 9])
def test_a_raw_body_that_is_no_tensor_is_refused(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/v2/models/shades/infer", data=body, headers={HEADER: "0"})
    assert (answer.status_code, answer.json["field"]) == (400, "body")


def test_raw_and_json_at_once_is_refused(client: FlaskClient) -> None:
    answer = client.post(
        "/v2/models/shades/infer", data=b"\0" * 16, headers={HEADER: "0"}, content_type="application/json"
    )
    assert (answer.status_code, answer.json["field"]) == (400, HEADER)


@pytest.mark.parametrize(("datatype", "tail"), [("BOOL", b"\0\1\2"), ("BYTES", b"\1\0\0\0\xff" * 3)])
def test_bytes_that_no_such_value_has_are_refused(tmp_path: Path, datatype: str, tail: bytes) -> None:
    client, _ = echo(tmp_path / "echo", datatype)
    image = {"name": "x", "datatype": datatype, "shape": [3], "parameters": {"binary_data_size": len(tail)}}
    head = json.dumps({"inputs": [image]}).encode()
    answer = client.post("/v2/models/echo/infer", data=head + tail, headers={HEADER: str(len(head))})
    assert answer.status_code == 400
    assert answer.json["field"].startswith("inputs[0]")
