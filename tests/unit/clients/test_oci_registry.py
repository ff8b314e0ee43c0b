"""The registry's adapter against registries of different habits, on loopback."""

from __future__ import annotations

import base64
import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from nightferry.clients.registry.auth import Credentials, is_loopback
from nightferry.clients.registry.oci import OciRegistry
from nightferry.clients.registry.session import split
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.stored_image import StoredImage, freed_by
from nightferry.errors import NightferryError, Permanent, Temporary

from tests.fakes import http_registry
from tests.fakes.http_registry import PASSWORD, REFRESH, USER, HttpRegistry
from tests.fakes.oci_push import DOCKER_MANIFEST, push_image, push_index


@pytest.fixture
def served() -> Iterator[HttpRegistry]:
    with http_registry.running() as registry:
        yield registry


def copy(served: HttpRegistry, client: OciRegistry, **image: object) -> ImageRef:
    """Push, then turn the registry's authentication on and copy."""
    auth, served.auth = served.auth, "none"
    pushed = push_image(f"{served.host}/a/digits-candidates", "inputs", **image)
    served.auth = auth
    served.asked.clear()
    return client.copy(pushed, f"{served.host}/a/digits", ("one",))


def failure_of(client: OciRegistry, host: str) -> NightferryError:
    with pytest.raises(NightferryError) as failure:
        client.find(f"{host}/digits", "one")
    return failure.value


@pytest.mark.parametrize("auth", ["none", "basic", "bearer"])
def test_a_copy_mounts_blobs_and_moves_none(served: HttpRegistry, auth: str):
    served.auth = auth
    copied = copy(served, OciRegistry(credentials=Credentials(USER, PASSWORD)))
    assert served.manifests["a/digits", "one"] == served.manifests["a/digits-candidates", copied.digest]
    assert not [asked for asked in served.asked if asked.startswith("GET") and "/blobs/" in asked]


@pytest.mark.parametrize("auth", ["none", "basic", "bearer"])
@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_where_mounts_are_refused_blobs_are_copied_through(served: HttpRegistry, auth: str, size: int):
    served.auth, served.mounts = auth, False
    copied = copy(served, OciRegistry(credentials=Credentials(USER, PASSWORD)), size=size)
    layers = json.loads(served.manifests["a/digits", "one"][0])["layers"]
    assert len(served.blobs["a/digits", layers[0]["digest"]]) == size
    assert copied.repository == f"{served.host}/a/digits"


def test_a_docker_manifest_keeps_its_media_type(served: HttpRegistry):
    copy(served, OciRegistry(), media_type=DOCKER_MANIFEST)
    assert served.manifests["a/digits", "one"][1] == DOCKER_MANIFEST


def test_a_registry_that_does_not_say_the_digest(served: HttpRegistry):
    image = push_image(f"{served.host}/digits", "one")
    served.says_digest = False
    assert OciRegistry().find(image.repository, "one") == image


def test_a_manifest_that_is_not_its_digest_is_not_believed(served: HttpRegistry):
    image = push_image(f"{served.host}/digits", "one")
    content, kind = served.manifests["digits", image.digest]
    served.manifests["digits", image.digest] = (content + b" ", kind)
    with pytest.raises(Temporary) as failure:
        OciRegistry().copy(image, f"{served.host}/other", ("one",))
    assert failure.value.reason == Reason.REGISTRY_UNAVAILABLE
    assert ("other", "one") not in served.manifests


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_credentials_of_a_docker_file(served: HttpRegistry, auth: str, tmp_path: Path):
    entry = {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {served.host: entry}}))
    served.auth = auth
    assert copy(served, OciRegistry(file)).repository.endswith("/a/digits")


def test_a_refresh_token_buys_access(served: HttpRegistry, tmp_path: Path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {served.host: {"identitytoken": REFRESH}}}))
    served.auth = "bearer"
    assert copy(served, OciRegistry(file)).repository.endswith("/a/digits")


def test_a_credential_helper_is_asked(served: HttpRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    helper = tmp_path / "docker-credential-vault"
    answer = json.dumps({"Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\nread host\n[ \"$1 $host\" = 'get {served.host}' ] && echo '{answer}'\n")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"credHelpers": {served.host: "vault"}}))
    served.auth = "basic"
    assert OciRegistry(file).find(f"{served.host}/digits", "one") is None


def test_an_expired_token_is_renewed(served: HttpRegistry):
    served.auth = "bearer"
    client = OciRegistry(credentials=Credentials(USER, PASSWORD))
    assert client.find(f"{served.host}/digits", "one") is None
    served.tokens = {"of another time": set()}
    assert client.find(f"{served.host}/digits", "one") is None


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("credentials", [None, Credentials(USER, "wrong")])
def test_refused_credentials_are_permanent(served: HttpRegistry, auth: str, credentials: Credentials | None):
    served.auth = auth
    error = failure_of(OciRegistry(credentials=credentials), served.host)
    assert (type(error), error.reason) == (Permanent, Reason.REGISTRY_DENIED)
    assert "wrong" not in error.sentence


def test_a_netrc_is_not_asked(served: HttpRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    served.auth = "basic"
    assert failure_of(OciRegistry(), served.host).reason == Reason.REGISTRY_DENIED


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"auths": {"HOST": {"auth": "%%%"}}}', '{"credsStore": "none-such"}']
)
def test_a_credential_file_that_cannot_be_used_is_said(served: HttpRegistry, tmp_path: Path, content: str):
    file = tmp_path / "config.json"
    file.write_text(content.replace("HOST", served.host))
    served.auth = "basic"
    error = failure_of(OciRegistry(file), served.host)
    assert (type(error), error.reason) == (Permanent, Reason.REGISTRY_DENIED)


def test_a_missing_credential_file_is_said(served: HttpRegistry, tmp_path: Path):
    served.auth = "basic"
    assert "nowhere.json" in failure_of(OciRegistry(tmp_path / "nowhere.json"), served.host).sentence


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (500, Temporary, Reason.REGISTRY_UNAVAILABLE),
        (503, Temporary, Reason.REGISTRY_UNAVAILABLE),
        (429, Temporary, Reason.REGISTRY_UNAVAILABLE),
        (403, Permanent, Reason.REGISTRY_DENIED),
        (405, Permanent, Reason.REGISTRY_DENIED),
    ],
)
def test_what_a_registry_answers_decides_the_kind(
    served: HttpRegistry, status: int, kind: type[NightferryError], reason: Reason
):
    served.broken = status
    error = failure_of(OciRegistry(), served.host)
    assert (type(error), error.reason) == (kind, reason)
    assert served.host in error.sentence


def test_a_registry_that_is_down_is_temporary():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    error = failure_of(OciRegistry(), host)
    assert (type(error), error.reason) == (Temporary, Reason.REGISTRY_UNAVAILABLE)


def test_images_are_not_copied_between_registries(served: HttpRegistry):
    image = push_image(f"{served.host}/digits", "one")
    with pytest.raises(Permanent) as failure:
        OciRegistry().copy(image, "127.0.0.1:1/digits", ("one",))
    assert failure.value.reason == Reason.IMAGE_UNKNOWN


@pytest.mark.parametrize("name", ["digits", "team/digits"])
def test_a_repository_without_a_registry_is_refused(name: str):
    with pytest.raises(Permanent) as failure:
        split(name)
    assert failure.value.reason == Reason.SERVICE_FILE_INVALID


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("[::1]:5000", True),
        ("10.244.0.1:5000", False),
        ("localhost.example.com", False),
        ("nightferry.azurecr.io", False),
    ],
)
def test_plain_http_is_for_loopback_alone(host: str, expected: bool):
    assert is_loopback(host) is expected


@pytest.mark.parametrize("auth", ["none", "basic", "bearer"])
@pytest.mark.parametrize("action", ["pull", "metadata_read"])
def test_tags_are_listed_with_what_the_registry_asks_for(served: HttpRegistry, auth: str, action: str):
    push_image(f"{served.host}/digits", "one")
    served.auth, served.lists_to, served.page = auth, action, 1
    client = OciRegistry(credentials=Credentials(USER, PASSWORD))
    assert client.tags(f"{served.host}/digits") == ("one",)


@pytest.mark.parametrize("auth", ["none", "basic", "bearer"])
def test_an_image_is_deleted_with_the_right_to_delete(served: HttpRegistry, auth: str):
    image = push_image(f"{served.host}/digits", "one")
    served.auth = auth
    client = OciRegistry(credentials=Credentials(USER, PASSWORD))
    assert client.delete(image) is True
    assert client.delete(image) is False


def test_a_list_of_tags_does_not_send_credentials_elsewhere(served: HttpRegistry):
    push_image(f"{served.host}/digits", "one")
    served.next_page = "http://registry.example/v2/digits/tags/list?last=one"
    with pytest.raises(Temporary) as failure:
        OciRegistry().tags(f"{served.host}/digits")
    assert failure.value.reason == Reason.REGISTRY_UNAVAILABLE


def test_a_list_of_tags_in_a_circle_ends(served: HttpRegistry):
    push_image(f"{served.host}/digits", "one")
    served.next_page = "/v2/digits/tags/list?last=one"
    with pytest.raises(Temporary) as failure:
        OciRegistry().tags(f"{served.host}/digits")
    assert failure.value.reason == Reason.REGISTRY_UNAVAILABLE


@pytest.mark.parametrize("locked", [True, False])
def test_a_registry_that_does_not_delete_says_what_to_do(served: HttpRegistry, locked: bool):
    image = push_image(f"{served.host}/digits", "one")
    served.deletes, served.locked = locked, {image.digest}
    with pytest.raises(Permanent) as failure:
        OciRegistry().delete(image)
    assert failure.value.reason == Reason.REGISTRY_DELETE_DENIED
    assert ("unlock" in failure.value.sentence, "delete.enabled" in failure.value.sentence) == (True, True)
    assert OciRegistry().find(image.repository, "one") == image


def test_a_layer_that_the_storage_lost_is_missing(served: HttpRegistry):
    image = push_image(f"{served.host}/digits", "one")
    layer = json.loads(served.manifests["digits", "one"][0])["layers"][0]["digest"]
    del served.blobs["digits", layer]
    assert OciRegistry().missing(image) == (layer,)


def test_a_part_of_an_index_that_was_purged_is_missing(served: HttpRegistry):
    index = push_index(f"{served.host}/digits", "one", {})
    part = OciRegistry().stored(index).parts[0]
    OciRegistry().delete(ImageRef(index.repository, part))
    assert OciRegistry().missing(index) == (part,)


def test_layers_that_another_image_has_are_not_freed():
    of = {name: ImageRef("digits", "sha256:" + name * 64) for name in "abc"}
    old, new = StoredImage(of["a"], {"base": 50, "old": 7}), StoredImage(of["b"], {"base": 50, "new": 9})
    twin = StoredImage(of["c"], {"old": 7, "twin": 1})
    assert freed_by([old], [new]) == 7
    assert freed_by([old], [new, twin]) == 0
    assert freed_by([old, twin], [new]) == 8
