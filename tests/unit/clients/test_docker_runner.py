"""What the Docker engine says when it does not do as asked, and what each is."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from nightferry.clients.docker_engine.runner import DockerRunner
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

IMAGE = ImageRef("r.example.com/digits", "sha256:" + "1" * 64)


class Engine:
    """Fails in one call; everything before it succeeds."""

    base_url = "http+docker://localhost"

    def __init__(self, call: str, fault: Exception | str) -> None:
        self.call = call
        self.fault = fault

    def inspect_image(self, name: str) -> dict[str, Any]:
        if self.call == "pull":
            raise ImageNotFound("no such image")
        return {"Id": name}

    def pull(self, repository: str, **options: Any) -> list[dict[str, str]]:
        return [{"status": "Pulling"}, {"error": str(self.fault)}]

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_container(self, image: str, **options: Any) -> dict[str, str]:
        self._maybe_fail("create")
        return {"Id": "one"}

    def start(self, name: str) -> None:
        self._maybe_fail("start")

    def remove_container(self, name: str, **options: Any) -> None:
        self._maybe_fail("remove")

    def _maybe_fail(self, call: str) -> None:
        if self.call == call:
            assert isinstance(self.fault, Exception)
            raise self.fault


def api_error(status: int, words: str) -> APIError:
    answer = requests.Response()
    answer.status_code = status
    return APIError(words, answer, words)


def failure_of(call: str, fault: Exception | str) -> NightferryError:
    with pytest.raises(NightferryError) as failure:
        DockerRunner(Engine(call, fault)).start(IMAGE, "one", {}, 1 << 28, ("true",))
    return failure.value


@pytest.mark.parametrize(("words", "kind", "reason"), [
    ("manifest for r.example.com/digits@sha256:1 not found: manifest unknown", Permanent, Reason.IMAGE_UNKNOWN),
    ("unauthorized: authentication required", Permanent, Reason.REGISTRY_DENIED),
    ("Head https://r.example.com/v2/: no basic auth credentials", Permanent, Reason.REGISTRY_DENIED),
    ("Get https://r.example.com/v2/: dial tcp: i/o timeout", Temporary, Reason.REGISTRY_UNAVAILABLE),
    ("write /var/lib/docker/tmp/1: no space left on device", Permanent, Reason.DISK_FULL),
])  # fmt: skip
def test_what_stops_a_pull(words: str, kind: type[NightferryError], reason: Reason):
    error = failure_of("pull", words)
    assert (type(error), error.reason) == (kind, reason)


@pytest.mark.parametrize(("call", "fault", "kind", "reason"), [
    ("create", api_error(400, "No command specified"), Permanent, Reason.IMAGE_START_FAILED),
    ("start", api_error(400, "OCI runtime create failed: exec: no such file"), Permanent, Reason.IMAGE_START_FAILED),
    ("start", api_error(500, "unable to find user 65532"), Permanent, Reason.IMAGE_START_FAILED),
    ("start", api_error(500, "mkdir /var/lib/docker: no space left on device"), Permanent, Reason.DISK_FULL),
    ("create", api_error(409, "The name is in use"), Temporary, Reason.DOCKER_UNAVAILABLE),
    ("create", requests.ConnectionError("Connection aborted"), Temporary, Reason.DOCKER_UNAVAILABLE),
    ("create", requests.ReadTimeout("Read timed out"), Temporary, Reason.DOCKER_UNAVAILABLE),
    ("create", DockerException("PermissionError(13, 'Permission denied')"), Permanent, Reason.DOCKER_UNAVAILABLE),
])  # fmt: skip
def test_what_stops_a_start(call: str, fault: Exception, kind: type[NightferryError], reason: Reason):
    error = failure_of(call, fault)
    assert (type(error), error.reason) == (kind, reason)


def test_one_that_someone_else_is_removing_counts_as_removed():
    assert DockerRunner(Engine("remove", api_error(409, "removal is already in progress"))).remove("one")
