"""What answers say to browsers: nosniff always, and which origins' pages may read them. Of the Flask app and of the
service as production runs it, whose short cut and refusals pass Flask by."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from serving_app.app import create_app
from serving_app.errors import StartError
from serving_app.settings import Settings, load
from tests.serving_app.models import picture, score_body
from tests.serving_app.running import Service

HOME = "https://app.example.org"
OTHER = "https://evil.example.org"
JSON = {"Content-Type": "application/json"}
Fields = Mapping[str, str]
Ask = Callable[..., tuple[int, Fields]]
"""Method, path, headers, body -> status and headers."""

ANSWERS: dict[str, tuple[str, str, dict[str, str], bytes, int]] = {
    "short cut": ("POST", "/score", JSON, json.dumps(score_body(picture(0))).encode(), 200),
    "short cut's 400": ("POST", "/score", JSON, b"{}", 400),
    "page": ("GET", "/version", {}, b"", 200),
    "HEAD": ("HEAD", "/version", {}, b"", 200),
    "404": ("GET", "/nowhere", {}, b"", 404),
    "405": ("GET", "/score", {}, b"", 405),
    "413": ("POST", "/score", JSON, b" " * 200_001, 413),
    "415": ("POST", "/score", {"Content-Type": "text/plain"}, b"{}", 415),
}


def of_flask(client: FlaskClient) -> Ask:
    def ask(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, Fields]:
        answer = client.open(path, method=method, headers=headers, data=body)
        return answer.status_code, answer.headers

    return ask


def of_service(service: Service) -> Ask:
    def ask(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, Fields]:
        connection = service.connect()
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers
        finally:
            connection.close()

    return ask


@pytest.fixture(params=["flask", "service"])
def start(request: pytest.FixtureRequest, serve: Callable[..., Service], picture_dir: Path) -> Callable[[str], Ask]:
    def begin(origins: str) -> Ask:
        environ = {"SERVING_MAX_BODY_BYTES": "200000", "SERVING_CORS_ORIGINS": origins}
        if request.param == "service":
            return of_service(serve(picture_dir, SERVING_WORKERS="1", **environ).wait_ready())
        config = load({**environ, "SERVING_MODEL_DIR": str(picture_dir)})
        return of_flask(create_app(config).test_client())

    return begin


def cors(fields: Fields) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name.lower().startswith("access-control-")}


def test_an_allowed_page_may_read_every_answer(start: Callable[[str], Ask]) -> None:
    ask = start(f"{HOME}, http://localhost:3000")
    for name, (method, path, headers, body, wanted) in ANSWERS.items():
        status, fields = ask(method, path, {**headers, "Origin": HOME}, body)
        assert status == wanted, name
        assert fields["Access-Control-Allow-Origin"] == HOME, name
        assert "X-Request-Id" in fields["Access-Control-Expose-Headers"], name
        assert fields["Vary"] == "Origin", name
        assert fields["X-Content-Type-Options"] == "nosniff", name


def test_another_page_may_not_and_a_cache_keeps_them_apart(start: Callable[[str], Ask]) -> None:
    ask = start(HOME)
    for name, (method, path, headers, body, wanted) in ANSWERS.items():
        for origin in ({"Origin": OTHER}, {"Origin": "null"}, {}):
            status, fields = ask(method, path, {**headers, **origin}, body)
            assert status == wanted, name
            assert cors(fields) == {}, name
            assert fields["Vary"] == "Origin", name


def test_by_default_no_page_of_another_origin_may(start: Callable[[str], Ask]) -> None:
    ask = start("")
    for name, (method, path, headers, body, _) in ANSWERS.items():
        _, fields = ask(method, path, {**headers, "Origin": HOME}, body)
        assert cors(fields) == {}, name
        assert "Vary" not in fields, name
        assert fields["X-Content-Type-Options"] == "nosniff", name
    _, fields = ask("OPTIONS", "/score", preflight(HOME))
    assert cors(fields) == {}


def test_a_star_is_every_page(start: Callable[[str], Ask]) -> None:
    ask = start("*")
    for name, (method, path, headers, body, _) in ANSWERS.items():
        _, fields = ask(method, path, {**headers, "Origin": OTHER}, body)
        assert fields["Access-Control-Allow-Origin"] == "*", name
        assert "Vary" not in fields, name
    assert ask("OPTIONS", "/score", preflight(OTHER))[1]["Access-Control-Allow-Origin"] == "*"


def preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }


@pytest.mark.parametrize("path", ["/score", "/v2/models/shades/infer"])
def test_a_preflight_says_what_may_be_sent(start: Callable[[str], Ask], path: str) -> None:
    ask = start(HOME)
    status, fields = ask("OPTIONS", path, preflight(HOME))
    assert status in (200, 204)
    assert fields["Access-Control-Allow-Origin"] == HOME
    assert "POST" in fields["Access-Control-Allow-Methods"].split(", ")
    allowed = fields["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"content-type", "inference-header-content-length", "x-request-id"} <= set(allowed)
    assert int(fields["Access-Control-Max-Age"]) > 0
    assert fields["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in fields
    assert cors(ask("OPTIONS", path, preflight(OTHER))[1]) == {}


def test_a_request_that_is_refused_at_sight_says_it_too(serve: Callable[..., Service], picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="1", SERVING_CORS_ORIGINS="*").wait_ready()
    connection = service.connect()
    connection.connect()
    connection.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    assert answer.status == 400
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    connection.close()


@pytest.mark.parametrize(
    "origins",
    ["app.example.org", "https://app.example.org/", "https://App.example.org", "null", "*, https://a.example", "ftp://a",
     "https://*.example.org", "https://a.example\nX: y", "https://user@a.example"],
)  # fmt: skip
def test_what_no_browser_would_send_as_an_origin_stops_the_start(origins: str) -> None:
    with pytest.raises(StartError, match="SERVING_CORS_ORIGINS holds"):
        load({"SERVING_CORS_ORIGINS": origins})


def test_origins_are_read() -> None:
    text = "https://a.example , http://localhost:3000,http://[::1]:8080,"
    assert load({"SERVING_CORS_ORIGINS": text}).cors_origins == (
        "https://a.example",
        "http://localhost:3000",
        "http://[::1]:8080",
    )
    assert load({}).cors_origins == Settings().cors_origins == ()
