"""Base64 as clients write it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.serving_app.models import picture, text

WHITE = picture(255, size=40)
SPELLINGS: dict[str, Callable[[bytes], str]] = {
    "plain": text,
    "wrapped at 76, CRLF": lambda data: base64.encodebytes(data).decode().replace("\n", "\r\n"),
    "wrapped at 76, LF": lambda data: base64.encodebytes(data).decode(),
    "no padding": lambda data: text(data).rstrip("="),
    "URL-safe": lambda data: base64.urlsafe_b64encode(data).decode(),
    "URL-safe, no padding": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "data URL": lambda data: f"data:image/png;base64,{text(data)}",
    "data URL of a type that says more": lambda data: f"DATA:image/svg+xml;charset=utf-8;base64,{text(data)}",
    "Python's str(bytes)": lambda data: str(base64.b64encode(data)),
}
NOT_BASE64 = {
    "a character of no alphabet": "iVBO*w0K",
    "both alphabets": "iVBO-w0K/w0K",
    "a space": "iVBO w0K",
    "one character left over": "iVBOR",
    "padding in the middle": "iVBO=w0K",
    "too much padding": "iVBORw==="[:9],
    "a data URL of text": f"data:text/plain;base64,{text(WHITE)}",
    "a data URL that is percent-encoded": "data:image/png,%89PNG",
    "a data URL without its comma": "data:image/png;base64" + text(WHITE),
    "not ASCII": "iVBOäw0K",
}


def data_of(padding: int) -> bytes:
    """A white picture with characters of both alphabets, whose base64 ends with so many signs of padding."""
    data = WHITE + b"\xfb\xff\xbf" * 30
    while -len(data) % 3 != padding:
        data += b"\0"
    return data


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_every_spelling_is_the_same_picture(client: FlaskClient, spelling: str, padding: int) -> None:
    written = SPELLINGS[spelling](data_of(padding))
    answer = client.post("/score", json={"input": json.dumps([written])})
    assert answer.status_code == 200, answer.text
    assert answer.json["result"][0][0][0][0] == "light"
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [written]}
    assert client.post("/v2/models/shades/infer", json={"inputs": [tensor]}).status_code == 200


@pytest.mark.parametrize("case", NOT_BASE64)
def test_what_is_not_base64_is_refused(client: FlaskClient, case: str) -> None:
    answer = client.post("/score", json={"input": [text(WHITE), NOT_BASE64[case]]})
    assert (answer.status_code, answer.json["field"]) == (400, "input[1]")
    assert "base64" in answer.json["detail"]
