"""How an S3 storage is opened, and what its failures mean; where models come from decides what is opened at all."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from nightferry.clients import connect
from nightferry.clients.azure.models import AzureModels
from nightferry.clients.s3 import connection as s3_connection
from nightferry.clients.s3 import stream as s3_stream
from nightferry.clients.s3.connection import S3Key, key_text, open_s3, parse_key, read_key
from nightferry.clients.s3.index import Index
from nightferry.clients.s3.models import S3Models
from nightferry.clients.versions.opening import LOCKS, open_locks
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ModelSource
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.settings import Settings

from tests.fakes.service_specs import digits_spec

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"
KEY = S3Key("AKIA0", SECRET)


def settings(folder: Path, **given: str) -> Settings:
    return Settings(folder, folder, {f"NIGHTFERRY_{name}": value for name, value in given.items()})


def key_file(folder: Path, text: str = key_text(KEY), mode: int = 0o600) -> Path:
    file = folder / "key"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_key_is_read_as_awss_own_tools_write_it(tmp_path: Path):
    assert read_key(key_file(tmp_path)) == KEY
    token = S3Key("AKIA0", SECRET, "a token")
    assert read_key(key_file(tmp_path, key_text(token))) == token
    assert SECRET not in repr(token)
    assert "a token" not in repr(token)


@pytest.mark.parametrize(
    "text", ["", "[default]\n", f"AKIA0\n{SECRET}\n", f"[other]\naws_secret_access_key = {SECRET}", f"{SECRET}=x"]
)
def test_a_file_without_a_key_is_refused_and_repeats_nothing(text: str):
    with pytest.raises(Permanent) as refused:
        parse_key(text, "the file")
    assert refused.value.reason is Reason.SETTING_INVALID
    assert SECRET not in refused.value.sentence
    assert SECRET not in str(refused.value.__cause__)


def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path):
    with pytest.raises(Permanent) as refused:
        read_key(key_file(tmp_path, mode=0o644))
    assert refused.value.reason is Reason.SETTING_INVALID
    assert "chmod 600" in refused.value.sentence


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(Permanent) as refused:
        connect.s3(settings(tmp_path, S3_URL="http://127.0.0.1:1", S3_KEY_FILE="/no/such/file"))
    assert refused.value.reason is Reason.SETTING_MISSING
    assert "/no/such/file" in refused.value.sentence


def test_a_place_or_a_region_has_to_be_named(tmp_path: Path):
    """Nothing that lies about is somebody's production."""
    with pytest.raises(Permanent) as refused:
        connect.models(settings(tmp_path), ModelSource(repository="s3://models/digits"))
    assert refused.value.reason is Reason.SETTING_MISSING
    assert "NIGHTFERRY_S3_URL" in refused.value.sentence


def test_what_was_set_up_for_other_work_does_not_count_beside_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    other = tmp_path / "config"
    other.write_text("[default]\nregion = eu-west-1\nendpoint_url = http://production\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(other))
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://production")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPRODUCTION")
    client = open_s3(None, "eu-central-1", KEY).client
    assert client.meta.endpoint_url == "https://s3.eu-central-1.amazonaws.com"
    assert client.meta.region_name == "eu-central-1"
    assert client._request_signer._credentials.access_key == "AKIA0"


def test_an_address_that_is_none_is_said():
    with pytest.raises(Permanent) as refused:
        open_s3("nonsense", None, KEY)
    assert refused.value.reason is Reason.SETTING_INVALID


def test_the_scheme_decides_what_is_opened(tmp_path: Path):
    blob = tmp_path / "connection"
    blob.write_text("DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a;")
    only_blob = settings(tmp_path, STORAGE_CONNECTION_FILE=str(blob))
    only_s3 = settings(tmp_path, S3_URL="http://127.0.0.1:1", S3_KEY_FILE=str(key_file(tmp_path)))
    assert isinstance(connect.models(only_blob, ModelSource(repository="azure-blob://models/digits")), AzureModels)
    assert isinstance(connect.models(only_s3, ModelSource(repository="s3://models/digits")), S3Models)


def test_locks_of_a_service_whose_models_are_in_s3_are_in_the_records_account(tmp_path: Path):
    blob = tmp_path / "connection"
    blob.write_text("DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a;")
    service = connect.storage(settings(tmp_path, STORAGE_CONNECTION_FILE=str(blob)))
    elsewhere = digits_spec(model={"repository": "s3://bucket/team/digits"})
    assert open_locks(service, elsewhere)._where == f"azure-blob://{LOCKS}/digits"
    beside = digits_spec(model={"repository": "azure-blob://models/team/digits"})
    assert open_locks(service, beside)._where == "azure-blob://models/team/digits"


class Server(ThreadingHTTPServer):
    """Answers every request with one status and one body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status, self.body = 503, b""


class Answer(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_PUT = do_HEAD = do_POST = _answer

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(s3_connection, "TRIES", 1)
    monkeypatch.setattr(s3_stream, "PAUSE", 0)
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def failure(port: int) -> NightferryError:
    with pytest.raises(NightferryError) as found:
        S3Models(open_s3(f"http://127.0.0.1:{port}", None, KEY), "models", "digits").pin("v1")
    assert SECRET not in found.value.sentence
    return found.value


def said(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (403, said("AccessDenied"), Permanent, Reason.STORAGE_DENIED),
        (403, said("SignatureDoesNotMatch"), Permanent, Reason.STORAGE_DENIED),
        (403, said("RequestTimeTooSkewed"), Permanent, Reason.STORAGE_DENIED),
        (403, b"", Permanent, Reason.STORAGE_DENIED),
        (301, said("PermanentRedirect"), Permanent, Reason.STORAGE_DENIED),
        (302, b"<html>use https</html>", Permanent, Reason.STORAGE_DENIED),
        (400, said("AuthorizationHeaderMalformed"), Permanent, Reason.STORAGE_DENIED),
        (404, said("NoSuchBucket"), Permanent, Reason.MODEL_REPOSITORY_MISSING),
        (409, said("ConditionalRequestConflict"), Temporary, Reason.STORAGE_UNAVAILABLE),
        (429, said("SlowDown"), Temporary, Reason.STORAGE_UNAVAILABLE),
        (500, said("InternalError"), Temporary, Reason.STORAGE_UNAVAILABLE),
        (503, b"<html>busy</html>", Temporary, Reason.STORAGE_UNAVAILABLE),
        (200, b"<html>a login page", Temporary, Reason.STORAGE_UNAVAILABLE),
    ],
)
def test_what_an_answer_means(server: Server, status: int, body: bytes, kind: type, reason: Reason):
    server.status, server.body = status, body
    found = failure(server.server_port)
    assert (type(found), found.reason) == (kind, reason)


def test_nobody_answers(server: Server):
    found = failure(1)
    assert (type(found), found.reason) == (Temporary, Reason.STORAGE_UNAVAILABLE)


GOOD = {"created": "2026-11-21T00:00:00Z", "author": "eva", "size": 1, "metrics": {}, "sha256": "a" * 64}


@pytest.mark.parametrize(
    "changed",
    [
        {"created": "0001-01-01T00:00:00+14:00"},
        {"author": 3},
        {"size": "1"},
        {"metrics": 5},
        {"sha256": None},
        {"sha256": "../x"},
        {"problem": 1},
    ],
    ids=str,
)
def test_an_index_that_another_hand_wrote_is_none_where_it_makes_no_sense(changed: dict[str, object]):
    kept = {"good": ("e1", json.dumps(GOOD)), "bad": ("e2", json.dumps(GOOD | changed))}
    assert set(_index(json.dumps(kept).encode()).read({"good": "e1", "bad": "e2"})) == {"good"}


@pytest.mark.parametrize("content", [b"[" * 50_000, b"[]", b'{"good": 1}', b"\xff"], ids=["deep", "list", "one", "ff"])
def test_an_index_that_is_none_is_no_error(content: bytes):
    assert _index(content).read({"good": "e1"}) == {}


def _index(content: bytes) -> Index:
    class Client:
        def get_object(self, **_: object) -> dict[str, object]:
            return {"Body": io.BytesIO(content)}

    return Index(Client(), "models", "digits")
