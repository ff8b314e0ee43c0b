"""HTTP exchanges: what is asked, what counts as the same answer, and what is said of another one."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from nightferry.clients.service_client import ServiceClient, Unanswered
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.probe_report import Fault
from nightferry.steps.judging.exchanges import ask_exchange, ask_exchanges
from pydantic import ValidationError

from tests.fakes.scripted_app import Asked, ScriptedApp, served


@pytest.fixture
def app() -> Iterator[ScriptedApp]:
    with served() as made:
        yield made


def exchange(answer: dict[str, Any], **request: Any) -> Exchange:
    return Exchange.model_validate({"request": request or {"post": "/predict", "json": {}}, "answer": answer})


def asked(app: ScriptedApp, one: Exchange, what: Any = "golden example") -> Fault | None:
    return ask_exchange(ServiceClient(app.address), one, f"{what} 2", what)


def compared(app: ScriptedApp, given: Any, answer: dict[str, Any]) -> Fault | None:
    """What is said when the app gives this."""
    app.says("/predict", given)
    return asked(app, exchange(answer))


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"churn": [0.11, 0.5], "took": 3}, {"json": {"churn": [0.1101, 0.5]}}),
        ({"churn": [0.11]}, {"json": {"churn": [0.15]}, "tolerance": 0.05}),
        ({"n": 1_000_500}, {"json": {"n": 1_000_000}}),
        ({"n": 1}, {"json": {"n": 1.0}}),
        ({"a": None, "b": True}, {"json": {"a": None, "b": True}}),
        ([], {"json": []}),
        ({"n": 10**400}, {"json": {"n": 10**400}}),
        ({"churn": ["yes"]}, {"label": "yes", "at": "churn.0"}),
        ({"churn": [{"class": 7.0}]}, {"label": "7", "at": "churn.0.class"}),
        ({"churn": True}, {"label": "true", "at": "churn"}),
        ("yes", {"label": "yes"}),
        ('"yes"', {"label": "yes"}),
        ("it is yes indeed", {"text": "yes"}),
        ("<html>", {}),
    ],
)
def test_what_is_right(app: ScriptedApp, given: Any, answer: dict[str, Any]) -> None:
    assert compared(app, given, answer) is None


@pytest.mark.parametrize(
    ("given", "answer", "said"),
    [
        ({"churn": [0.42]}, {"json": {"churn": [0.11]}}, "churn.0 should be 0.11, got 0.42 (expected "),
        ({"churn": [0.11, 1]}, {"json": {"churn": [0.11]}}, "churn should have 1 item, got 2"),
        ({"churn": []}, {"json": {"churn": [1, 2]}}, "churn should have 2 items, got 0"),
        ({"other": 1}, {"json": {"churn": 1}}, "churn should be 1, got nothing"),
        ({"a": 1}, {"json": {"a": True}}, "a should be true, got 1"),
        ({"a": False}, {"json": {"a": 0}}, "a should be 0, got false"),
        ({"a": "1"}, {"json": {"a": 1}}, 'a should be 1, got "1"'),
        ({"a": {}}, {"json": {"a": None}}, "a should be null, got {}"),
        ({}, {"json": {"a": None}}, "a should be null, got nothing"),
        ([1], {"json": {}}, "/predict: should be {}, got [1]"),
        ('{"a": NaN}', {"json": {"a": 1}}, "a should be 1, got NaN"),
        ({"a": 10**400}, {"json": {"a": 1}}, "a should be 1, got 1000"),
        ("<html>", {"json": {"a": 1}}, "should answer JSON, got <html>"),
        ("", {"json": {"a": 1}}, "should answer JSON, got nothing"),
        ({"churn": ["no"]}, {"label": "yes", "at": "churn.0"}, "churn.0 should be yes, got no"),
        ({"churn": ["no"]}, {"label": "yes", "at": "churn.7"}, "churn.7 should be yes, got nothing"),
        ({"churn": ["no"]}, {"label": "yes", "at": "churn.first"}, "churn.first should be yes, got nothing"),
        ("no", {"label": "yes"}, "should be yes, got no"),
        ("no", {"text": "yes"}, "should say yes, got no"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_both_values(
    app: ScriptedApp, given: Any, answer: dict[str, Any], said: str
) -> None:
    fault = compared(app, given, answer)
    assert fault
    assert (fault.kind, said in fault.sentence) == ("golden", True), fault.sentence
    assert fault.sentence.startswith("Golden example 2, POST /predict: ")
    assert fault.sentence.endswith(". Look at the model; if it is right, at the app.")


def test_another_status_is_said_with_the_apps_own_words(app: ScriptedApp) -> None:
    app.says("/predict", {"detail": "no column plan."}, 422)
    fault = asked(app, exchange({"json": {}}), "check")
    assert fault == Fault(
        kind="contract",
        sentence="Check 2, POST /predict: should answer 200, got 422: no column plan. Ask the app's developers.",
    )


def test_a_status_may_be_the_answer(app: ScriptedApp) -> None:
    app.says("/predict", "wrong", 422)
    assert asked(app, exchange({"status": 422, "text": "wrong"})) is None


def test_long_values_are_cut(app: ScriptedApp) -> None:
    fault = compared(app, {"a": list(range(10_000))}, {"json": {"a": list(range(1, 10_001))}})
    assert fault
    assert "a.0 should be 1, got 0" in fault.sentence
    assert len(fault.sentence) < 600


def test_an_answer_of_any_depth_is_no_trouble(app: ScriptedApp) -> None:
    fault = compared(app, "[" * 100_000, {"json": {"a": 1}})
    assert fault
    assert "should answer JSON" in fault.sentence


@pytest.mark.parametrize(
    ("request_", "method", "kind", "body"),
    [
        ({"post": "/a?b=1", "json": {"x": "ü"}}, "POST", "application/json", b'{"x": "\\u00fc"}'),
        ({"put": "/a?b=1", "text": "ü"}, "PUT", "text/plain; charset=utf-8", "ü".encode()),
        ({"patch": "/a?b=1", "text": "<a/>", "headers": {"content-type": "text/xml"}}, "PATCH", "text/xml", b"<a/>"),
        ({"get": "/a?b=1"}, "GET", None, b""),
        ({"method": "delete", "path": "/a?b=1"}, "DELETE", None, b""),
        ({"head": "/a?b=1"}, "HEAD", None, b""),
        ({"options": "/a?b=1"}, "OPTIONS", None, b""),
    ],
)
def test_what_is_asked(app: ScriptedApp, request_: dict[str, Any], method: str, kind: str | None, body: bytes) -> None:
    app.says("/a?b=1")
    assert asked(app, exchange({}, **request_)) is None
    (came,) = app.asked
    assert (came.method, came.headers.get("content-type"), came.body) == (method, kind, body)


def test_headers_are_sent(app: ScriptedApp) -> None:
    app.says("/a")
    asked(app, exchange({}, get="/a", headers={"Accept-Language": "de", "X-Empty": ""}))
    assert (app.asked[0].headers["accept-language"], app.asked[0].headers["x-empty"]) == ("de", "")


def test_a_redirect_is_an_answer(app: ScriptedApp) -> None:
    app.says("/predict", "", 302, Location="/other")
    app.says("/other", {"a": 1})
    assert asked(app, exchange({"status": 302})) is None
    fault = asked(app, exchange({"json": {"a": 1}}))
    assert fault
    assert "should answer 200, got 302" in fault.sentence
    assert {one.path for one in app.asked} == {"/predict"}


def test_no_request_brings_what_another_one_got(app: ScriptedApp) -> None:
    app.says("/predict", "", Set_Cookie="user=ana")
    client = ServiceClient(app.address)
    list(ask_exchanges(client, [exchange({})] * 2, "check"))
    assert ["cookie" in one.headers for one in app.asked] == [False, False]


def test_each_is_compared_and_named_by_its_number(app: ScriptedApp) -> None:
    app.says("/predict", {"a": 1})
    exchanges = [exchange({"json": {"a": value}}) for value in (1, 2, 1, 3)]
    found = list(ask_exchanges(ServiceClient(app.address), exchanges, "golden example"))
    assert [fault.sentence.split(",")[0] for fault in found if fault] == ["Golden example 1", "Golden example 3"]
    assert [fault is None for fault in found] == [True, False, True, False]


def test_an_app_that_breaks_off_is_said_with_the_request(app: ScriptedApp) -> None:
    app.answers["/predict"] = (0, b"", {})
    with pytest.raises(Unanswered, match="golden example 2, POST /predict: the connection was refused or broken"):
        asked(app, exchange({}))


def test_an_answer_that_is_too_long_is_cut(app: ScriptedApp) -> None:
    app.says("/predict", "x" * (2 * 1024 * 1024))
    with pytest.raises(Unanswered, match="the answer is longer than 1 MiB"):
        ask_exchange(ServiceClient(app.address, most_bytes=1024 * 1024), exchange({}), "golden example 2")


def test_an_answer_that_drips_is_cut() -> None:
    """Each of its bytes comes in time, and the last one never."""
    gone = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            for _ in range(200):
                connection.sendall(b"x")
                if gone.wait(0.01):
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        try:
            with pytest.raises(Unanswered, match="did not end within"):
                ServiceClient(f"http://127.0.0.1:{server.getsockname()[1]}", most_seconds=0.2).get("/")
        finally:
            gone.set()
            thread.join()


@pytest.mark.parametrize("cut", [b"Content-Length: 9\r\n\r\nx", b"Transfer-Encoding: chunked\r\n\r\n9\r\nx"])
def test_an_answer_that_breaks_off_is_none(cut: bytes) -> None:
    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + cut)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        with pytest.raises(Unanswered, match="refused or broken"):
            ServiceClient(f"http://127.0.0.1:{server.getsockname()[1]}", most_seconds=0.2).get("/")
        thread.join()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Transfer-Encoding: chunked", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        (
            f"Content-Encoding: gzip\r\nContent-Length: {len(gzip.compress(b'abcde', mtime=0))}",
            gzip.compress(b"abcde", mtime=0),
        ),
        ("Connection: close", b"abcde"),
        ("Content-Length: 5", b"abcde"),
    ],
)
def test_an_answer_is_read_however_it_is_sent(headers: str, body: bytes) -> None:
    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode() + body)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        got = ServiceClient(f"http://127.0.0.1:{server.getsockname()[1]}", most_seconds=0.2).get("/")
        thread.join()
    assert got.text == "abcde"


@pytest.mark.parametrize(
    "headers", [{"A b": "x"}, {"": "x"}, {"a": "x\r\nb: y"}, {"a": "x\n"}, {"a": " x"}, {"a": "ü€"}]
)
def test_a_header_that_cannot_be_sent_is_none(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        exchange({}, get="/a", headers=headers)


def test_a_body_with_half_a_character_is_sent(app: ScriptedApp) -> None:
    def same(one: Asked) -> tuple[int, bytes, dict[str, str]]:
        return 200, one.body, {}

    app.answers["/predict"] = same
    text = json.loads('"\\ud800"')
    assert asked(app, exchange({"json": {"a": text}}, post="/predict", json={"a": text})) is None
    assert asked(app, exchange({"text": "a?b"}, post="/predict", text=f"a{text}b")) is None
