"""An MLflow server that breaks off, refuses, leads elsewhere, or has very many versions."""

from __future__ import annotations

import hashlib
import json
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from nightferry.clients.mlflow import server as mlflow_server
from nightferry.clients.mlflow.foreign import not_ours
from nightferry.clients.mlflow.login import Login, read_login
from nightferry.clients.mlflow.models import MlflowModels
from nightferry.clients.mlflow.registry import LISTING, PAGE, SHA256, VERSION, Registry
from nightferry.clients.mlflow.server import PIECE, MlflowServer
from nightferry.clients.mlflow.upload import tags_of
from nightferry.entities.model_version import PinnedModel, manifest_sha256, parse_manifest
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

from tests.fakes.mlflow.http_mlflow import HttpMlflow, serving
from tests.fakes.model_versions import manifest_of

SECRET = "tok-3f9a8b7c6d5e4f"
MANY = 2 * PAGE + 500


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpMlflow]:
    monkeypatch.setattr(mlflow_server, "PAUSE", 0.01)
    with serving() as server:
        yield server


def models(mlflow: HttpMlflow, login: Login | None = None) -> MlflowModels:
    return MlflowModels(MlflowServer(mlflow.url, login), "digits")


def stored(mlflow: HttpMlflow, version: str, number: int, data: bytes) -> PinnedModel:
    """A complete version, pinned."""
    content = json.dumps(manifest_of({"model.onnx": data}, version)).encode()
    mlflow.files |= {f"{number}/model.json": content, f"{number}/model.onnx": data}
    mlflow.add(number, tags_of(parse_manifest(content), content))
    return models(mlflow).pin(version)[0]


def failure(mlflow: HttpMlflow, login: Login | None = None) -> NightferryError:
    with pytest.raises(NightferryError) as raised:
        models(mlflow, login).listings()
    assert SECRET not in str(raised.value)
    return raised.value


def test_a_download_goes_on_where_its_connection_broke(mlflow: HttpMlflow, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3 * PIECE + 7)
    pinned = stored(mlflow, "v1", 1, data)
    mlflow.offsets.clear()
    mlflow.breaks = [PIECE + 1, PIECE]
    assert models(mlflow).download(pinned, "model.onnx", tmp_path / "m") == hashlib.sha256(data).hexdigest()
    assert (tmp_path / "m").read_bytes() == data
    assert mlflow.offsets[0] == 0
    assert mlflow.offsets[-1] > PIECE


def test_a_server_that_knows_no_ranges_is_read_from_the_beginning(mlflow: HttpMlflow, tmp_path: Path) -> None:
    data = random.Random(2).randbytes(2 * PIECE + 7)
    pinned = stored(mlflow, "v1", 1, data)
    mlflow.ranges, mlflow.breaks = False, [PIECE + 1]
    assert models(mlflow).download(pinned, "model.onnx", tmp_path / "m") == hashlib.sha256(data).hexdigest()


def test_a_download_that_breaks_again_and_again_leaves_no_file(mlflow: HttpMlflow, tmp_path: Path) -> None:
    pinned = stored(mlflow, "v1", 1, b"weights")
    mlflow.breaks = [0] * 9
    with pytest.raises(Temporary) as raised:
        models(mlflow).download(pinned, "model.onnx", tmp_path / "m")
    assert raised.value.reason is Reason.STORAGE_UNAVAILABLE
    assert list(tmp_path.iterdir()) == []


def test_memory_stays_flat(mlflow: HttpMlflow, tmp_path: Path) -> None:
    data = bytes(48 * PIECE)
    pinned = stored(mlflow, "v1", 1, data)
    repository = models(mlflow)
    repository.download(pinned, "model.json", tmp_path / "j")
    tracemalloc.start()
    try:
        repository.download(pinned, "model.onnx", tmp_path / "m")
        assert tracemalloc.get_traced_memory()[1] < 12 * PIECE
    finally:
        tracemalloc.stop()


def test_thousands_of_versions_are_a_few_searches_and_no_file_is_read(mlflow: HttpMlflow) -> None:
    for number in range(1, MANY + 1):
        listing = {"created": "2026-11-21T00:00:00Z", "author": "ana", "size": 1, "metrics": {}, "sha256": "a" * 64}
        mlflow.add(number, {VERSION: f"v{number}", SHA256: "a" * 64, LISTING: json.dumps(listing)})
    found = models(mlflow).listings()
    assert (len(found), found[0].version, found[-1].version) == (MANY, f"v{MANY}", "v1")
    assert mlflow.asked == ["search"] * 3


def test_versions_of_a_model_whose_name_is_like_ours_are_not_ours(mlflow: HttpMlflow) -> None:
    """MLflow's search, or its database, may be looser than an equal sign."""
    stored(mlflow, "v1", 1, b"weights")
    mlflow.add(2, {VERSION: "v2", SHA256: "a" * 64}, name="Digits")
    assert [one.version for one in models(mlflow).listings()] == ["v1"]


@pytest.mark.parametrize("tags", [{}, {VERSION: "v1"}, {SHA256: "a" * 64}, {VERSION: "v1", SHA256: "not a digest"}])
def test_a_version_without_both_tags_does_not_exist(mlflow: HttpMlflow, tags: dict[str, str]) -> None:
    mlflow.add(1, tags)
    assert list(models(mlflow).listings()) == []


SHOWN = {"created": "2026-11-21T00:00:00Z", "author": "eva", "size": 1, "metrics": {}, "sha256": "a" * 64}


@pytest.mark.parametrize(
    "listing",
    [
        "",
        "{",
        "[]",
        '{"created": "yesterday"}',
        *(
            json.dumps(SHOWN | changed)
            for changed in (
                {"created": "0001-01-01T00:00:00+14:00"},
                {"created": "2026-11-21"},
                {"sha256": None},
                {"size": "1"},
                {"metrics": 5},
                {"author": 3},
            )
        ),
        pytest.param("[" * 4000, id="deep"),
    ],
)
def test_a_listing_that_is_broken_or_of_another_content_is_read_anew(mlflow: HttpMlflow, listing: str) -> None:
    content = json.dumps(manifest_of({"model.onnx": b"x"}, "v1", author="bob")).encode()
    mlflow.files["1/model.json"] = content
    mlflow.add(1, {VERSION: "v1", SHA256: manifest_sha256(content), LISTING: listing})
    (one,) = models(mlflow).listings()
    assert (one.author, one.sha256) == ("bob", manifest_sha256(content))


def test_a_version_that_cannot_be_read_hides_no_other(mlflow: HttpMlflow) -> None:
    """Whoever may write to the registry may give our tags to a version without files, or with files elsewhere."""
    stored(mlflow, "v1", 1, b"weights")
    mlflow.add(2, {VERSION: "v2", SHA256: "a" * 64})
    found = {one.version: one.problem for one in models(mlflow).listings()}
    assert found["v1"] == ""
    assert "overwritten or removed" in found["v2"]


@pytest.mark.parametrize("version", ["it's", "../x", "a b", "v" * 900])
def test_a_name_that_no_version_has_is_none(mlflow: HttpMlflow, version: str) -> None:
    mlflow.add(1, {VERSION: version, SHA256: "a" * 64})
    assert list(models(mlflow).listings()) == []


def test_artifacts_above_the_servers_own_are_not_asked_for(mlflow: HttpMlflow) -> None:
    """A path of dots would lead to whatever else answers at this host, with our login."""
    for uri in ("mlflow-artifacts:/1/../../../../other", "mlflow-artifacts:/..", "mlflow-artifacts:/1/./x"):
        with pytest.raises(Permanent) as raised:
            Registry(MlflowServer(mlflow.url), "digits").served(uri)
        assert raised.value.reason is Reason.STORAGE_DENIED


@pytest.mark.parametrize(
    "described",
    [b"flavors: 2026-99-99", b"[" * 5000, b"flavors: [onnx" + b" " * 2_000_000 + b"]"],
    ids=["a day that is none", "deep", "long"],
)
def test_whatever_describes_a_foreign_version_it_is_refused_and_little_of_it_is_read(
    mlflow: HttpMlflow, described: bytes
) -> None:
    mlflow.files["7/MLmodel"] = described
    mlflow.add(7, {})
    server = MlflowServer(mlflow.url)
    (foreign,) = Registry(server, "digits").all()
    fault = not_ours(server, Registry(server, "digits"), "mlflow://digits", foreign)
    assert fault.reason is Reason.MODEL_NOT_ONNX


def test_an_alias_whose_version_is_gone_a_moment_later_is_told(
    mlflow: HttpMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow.add(1, {VERSION: "v1", SHA256: "a" * 64})
    (one,) = Registry(MlflowServer(mlflow.url), "digits").all()
    mlflow.versions.clear()
    monkeypatch.setattr(Registry, "aliased", lambda self, alias: one)
    (listing,) = MlflowModels(MlflowServer(mlflow.url), "digits", "champion").listings()
    assert listing.problem


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_that_is_refused(mlflow: HttpMlflow, status: int) -> None:
    mlflow.answer = (status, {}, b"no")
    fault = failure(mlflow, Login(token=SECRET))
    assert (type(fault), fault.reason) == (Permanent, Reason.STORAGE_DENIED)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_server_that_is_not_able_now(mlflow: HttpMlflow, status: int) -> None:
    mlflow.answer = (status, {}, f"oh dear {SECRET}".encode() if status == 0 else b"")
    fault = failure(mlflow)
    assert (type(fault), fault.reason) == (Temporary, Reason.STORAGE_UNAVAILABLE)


def test_a_server_that_does_not_run(mlflow: HttpMlflow) -> None:
    free = MlflowModels(MlflowServer("http://127.0.0.1:9"), "digits")
    with pytest.raises(Temporary) as raised:
        free.listings()
    assert raised.value.reason is Reason.STORAGE_UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"<html>not here"), (200, b"<html>log in"), (200, b"[]")], ids=["404", "login", "list"]
)
def test_what_does_not_speak_mlflows_language(mlflow: HttpMlflow, status: int, body: bytes) -> None:
    mlflow.answer = (status, {}, body)
    fault = failure(mlflow)
    assert (type(fault), fault.reason) == (Permanent, Reason.STORAGE_DENIED)
    assert "NIGHTFERRY_MLFLOW_URL" in str(fault)


def test_a_redirect_is_not_followed_and_nobody_else_gets_the_login(mlflow: HttpMlflow) -> None:
    with serving() as other:
        mlflow.answer = (302, {"Location": f"{other.url}/api/2.0/mlflow/model-versions/search"}, b"")
        fault = failure(mlflow, Login(token=SECRET))
        assert (type(fault), fault.reason) == (Permanent, Reason.STORAGE_DENIED)
        assert other.asked == []
    assert mlflow.logins == [f"Bearer {SECRET}"]


def test_a_login_goes_over_tls_or_stays_on_this_machine() -> None:
    for login in (Login(token=SECRET), Login(user="eva", password=SECRET)):
        with pytest.raises(Permanent) as raised:
            MlflowServer("http://mlflow.example:5000", login)
        assert raised.value.reason is Reason.SETTING_INVALID
        assert SECRET not in str(raised.value)
        assert SECRET not in repr(login)
        MlflowServer("https://mlflow.example", login)
        MlflowServer("http://127.0.0.1:5000", login)
    MlflowServer("http://mlflow.example:5000")


def test_the_login_is_in_files(tmp_path: Path) -> None:
    token, empty = tmp_path / "token", tmp_path / "empty"
    token.write_text(f"{SECRET}\n")
    empty.write_text("\n")
    assert read_login(None, None, None).header is None
    assert read_login(token, "eva", token).header == f"Bearer {SECRET}"
    assert read_login(None, "eva", token).header == "Basic ZXZhOnRvay0zZjlhOGI3YzZkNWU0Zg=="
    for given in ((empty, None, None), (tmp_path / "nowhere", None, None), (None, "eva", None)):
        with pytest.raises(Permanent) as raised:
            read_login(*given)
        assert raised.value.reason is Reason.SETTING_MISSING


def test_a_netrc_of_the_user_is_not_read(mlflow: HttpMlflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eva password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    models(mlflow).listings()
    assert mlflow.logins == [None]
