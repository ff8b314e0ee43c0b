"""The SDK against a storage account that is down, refuses or stumbles: what comes out is Nightferry's own error."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from nightferry.clients import connect
from nightferry.clients.azure import stream as azure_stream
from nightferry.clients.azure.errors import azure_errors
from nightferry.clients.azure.ledger import AzureLedger
from nightferry.clients.azure.models import AzureModels
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.settings import Settings
from nightferry.steps.record import ledger as ledgers

from tests.fakes.still_clock import StillClock

PINNED = PinnedModel(
    version="v1", sha256="0" * 64, created="2026-11-21T00:00:00Z", size=1, etags={"model.onnx": '"0x1"'}
)


class Server(ThreadingHTTPServer):
    """Answers every request with one status and one code of Azure Storage's."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status, self.code, self.asked = 503, "ServerBusy", 0
        self.made: list[str] = []
        """The containers that someone wanted to make."""


class Answer(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.asked += 1
        if self.command == "PUT" and "restype=container" in self.path:
            server.made.append(self.path)
        body = f"<Error><Code>{server.code}</Code><Message>no</Message></Error>".encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(server.status)
        self.send_header("x-ms-error-code", server.code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = _answer

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's pauses between tries are not waited for."""
    from azure.storage.blob import ExponentialRetry

    monkeypatch.setattr(azure_stream, "PAUSE", 0)
    options = connect.storage_options()
    retry = ExponentialRetry(initial_backoff=0, increment_base=0, retry_total=2, random_jitter_range=0)
    monkeypatch.setattr(connect, "storage_options", lambda: options | {"retry_policy": retry})


def settings_for(folder: Path, port: int) -> Settings:
    key = base64.b64encode(b"secret of the account").decode()
    file = folder / "connection"
    file.write_text(
        f"DefaultEndpointsProtocol=http;AccountName=nightferry;AccountKey={key};"
        f"BlobEndpoint=http://127.0.0.1:{port}/nightferry;"
    )
    return Settings(folder, folder, {"NIGHTFERRY_STORAGE_CONNECTION_FILE": str(file)})


CALLS: dict[str, Callable[[AzureModels, AzureLedger, Path], object]] = {
    "listings": lambda models, ledger, folder: models.listings(),
    "pin": lambda models, ledger, folder: models.pin("v1"),
    "download": lambda models, ledger, folder: models.download(PINNED, "model.onnx", folder / "target"),
    "names": lambda models, ledger, folder: ledger.names("digits"),
    "services": lambda models, ledger, folder: ledger.services(),
    "read": lambda models, ledger, folder: ledger.read("digits/000000000001.json"),
    "create": lambda models, ledger, folder: ledger.create("digits/000000000001.json", b"{}"),
}


def failure_of(call: str, folder: Path, port: int) -> NightferryError:
    service = connect.storage(settings_for(folder, port))
    with pytest.raises(NightferryError) as failure:
        CALLS[call](AzureModels(service, "models", "digits"), AzureLedger(service, "ledger"), folder)
    assert not list(folder.glob("*target*"))
    assert "secret of" not in failure.value.sentence
    assert "AccountKey" not in failure.value.sentence
    return failure.value


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("status", "code", "kind", "reason"),
    [
        (403, "AuthenticationFailed", Permanent, Reason.STORAGE_DENIED),
        (403, "AuthorizationPermissionMismatch", Permanent, Reason.STORAGE_DENIED),
        (401, "NoAuthenticationInformation", Permanent, Reason.STORAGE_DENIED),
        (400, "InvalidHeaderValue", Permanent, Reason.STORAGE_DENIED),
        (503, "ServerBusy", Temporary, Reason.STORAGE_UNAVAILABLE),
        (500, "InternalError", Temporary, Reason.STORAGE_UNAVAILABLE),
        (429, "TooManyRequests", Temporary, Reason.STORAGE_UNAVAILABLE),
        (409, "ContainerBeingDeleted", Temporary, Reason.STORAGE_UNAVAILABLE),
    ],
)
def test_an_account_that_refuses_or_stumbles(
    server: Server, tmp_path: Path, call: str, status: int, code: str, kind: type[NightferryError], reason: Reason
):
    server.status, server.code = status, code
    failure = failure_of(call, tmp_path, server.server_port)
    assert (type(failure), failure.reason) == (kind, reason)
    assert f"127.0.0.1:{server.server_port}" in failure.sentence


@pytest.mark.parametrize("call", ["listings", "pin", "download"])
def test_a_container_that_is_missing(server: Server, tmp_path: Path, call: str):
    server.status, server.code = 404, "ContainerNotFound"
    failure = failure_of(call, tmp_path, server.server_port)
    assert (type(failure), failure.reason) == (Permanent, Reason.MODEL_REPOSITORY_MISSING)
    assert "models" in failure.sentence


@pytest.mark.parametrize("call", ["names", "services", "read", "create"])
def test_a_ledger_whose_container_is_missing(server: Server, tmp_path: Path, call: str):
    server.status, server.code = 404, "ContainerNotFound"
    failure = failure_of(call, tmp_path, server.server_port)
    assert (type(failure), failure.reason) == (Permanent, Reason.LEDGER_MISSING)
    assert "ledger" in failure.sentence
    assert "nightferry up" in failure.sentence
    assert server.made == []


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "BlobNotFound"),
        (404, "ContainerNotFound"),
        (403, "AuthorizationPermissionMismatch"),
        (409, "BlobImmutableDueToPolicy"),
        (503, "ServerBusy"),
    ],
)
def test_a_note_that_cannot_be_had_or_kept_is_no_fault_and_is_tried_once(
    server: Server, tmp_path: Path, status: int, code: str
):
    server.status, server.code = status, code
    ledger = AzureLedger(connect.storage(settings_for(tmp_path, server.server_port)), "ledger")
    ledger.remember("digits/head", b"{}")
    assert ledger.recall("digits/head") is None
    assert server.asked == 2


def test_notes_of_an_account_that_is_down(tmp_path: Path):
    ledger = AzureLedger(connect.storage(settings_for(tmp_path, 9)), "ledger")
    ledger.remember("digits/head", b"{}")
    assert ledger.recall("digits/head") is None


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.usefixtures("quick")
def test_an_account_that_is_down(tmp_path: Path, call: str):
    failure = failure_of(call, tmp_path, 9)
    assert (type(failure), failure.reason) == (Temporary, Reason.STORAGE_UNAVAILABLE)


def test_down_is_said_within_seconds(tmp_path: Path):
    began = time.monotonic()
    assert failure_of("listings", tmp_path, 9).reason == Reason.STORAGE_UNAVAILABLE
    assert time.monotonic() - began < 12


@pytest.mark.usefixtures("quick")
def test_nothing_is_appended_when_the_account_is_down(tmp_path: Path):
    ledger = AzureLedger(connect.storage(settings_for(tmp_path, 9)), "ledger")
    with pytest.raises(Temporary):
        ledgers.append(
            ledger,
            StillClock(),
            service="digits",
            kind=Kind.STEP,
            key="a",
            release=None,
            actor="ana",
            reason=Reason.SUCCEEDED,
            sentence="",
        )


@pytest.mark.parametrize("content", ["", "no connection string", "AccountName"])
def test_a_file_that_holds_no_connection_string(tmp_path: Path, content: str):
    (tmp_path / "connection").write_text(content)
    given = Settings(tmp_path, tmp_path, {"NIGHTFERRY_STORAGE_CONNECTION_FILE": str(tmp_path / "connection")})
    with pytest.raises(Permanent) as failure:
        connect.storage(given)
    assert failure.value.reason == Reason.STORAGE_DENIED
    assert str(tmp_path / "connection") in failure.value.sentence


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "NIGHTFERRY_STORAGE_URL"),
        ({"NIGHTFERRY_STORAGE_CONNECTION_FILE": "/no/such/file"}, "/no/such/file"),
        ({"NIGHTFERRY_STORAGE_URL": "http://127.0.0.1:9/nightferry"}, "NIGHTFERRY_STORAGE_CONNECTION_FILE"),
    ],
)
def test_a_setting_that_is_missing(tmp_path: Path, environment: dict[str, str], named: str):
    with pytest.raises(Permanent) as failure:
        connect.storage(Settings(tmp_path, tmp_path, environment))
    assert failure.value.reason == Reason.SETTING_MISSING
    assert named in failure.value.sentence


def test_an_identity_is_used_where_there_is_no_key(tmp_path: Path):
    from azure.identity import DefaultAzureCredential

    service = connect.storage(
        Settings(tmp_path, tmp_path, {"NIGHTFERRY_STORAGE_URL": "https://account.blob.core.windows.net"})
    )
    assert isinstance(service.credential, DefaultAzureCredential)
    assert service.account_name == "account"


def test_a_person_who_is_not_logged_in():
    from azure.core.exceptions import ClientAuthenticationError

    with pytest.raises(Permanent, match="az login") as failure, azure_errors("account", "models"):
        raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token.")
    assert failure.value.reason == Reason.STORAGE_DENIED
