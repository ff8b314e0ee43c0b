"""The words of BuildKit, registries and pip, as they were met, and what each is."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from nightferry.clients.buildkit.failure import explain
from nightferry.clients.buildkit.progress import BuildProgress
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

REQUEST = BuildRequest(Path("Dockerfile"), "test", {}, tests=True)
LOG = Path("build.log")
FAILED = 'process "/bin/sh -c it" did not complete successfully: exit code: 1'


def told(said: str, step: str = "", *lines: str, error: str = FAILED) -> BuildProgress:
    """buildctl's output: perhaps a step that failed after writing `lines`, and the last word."""
    progress = BuildProgress(io.StringIO())
    if step:
        vertex = {"digest": "sha256:1", "name": step, "started": "now"}
        progress.feed(json.dumps({"vertexes": [vertex]}))
        for line in lines:
            data = base64.b64encode(f"{line}\n".encode()).decode()
            progress.feed(json.dumps({"logs": [{"vertex": "sha256:1", "data": data}]}))
        progress.feed(json.dumps({"vertexes": [{**vertex, "completed": "now", "error": error}]}))
    progress.feed(f"error: {said}\n")
    return progress


def explained(progress: BuildProgress) -> NightferryError:
    return explain(progress, REQUEST, "unix:///b.sock", LOG)


DIAL = "listing workers for Build: failed to list workers: Unavailable: connection error: "
PUSH = "failed to solve: failed to push r.example.com/digits:one: "
PULL = (
    "failed to solve: r.example.com/base@sha256:1: failed to resolve source metadata for r.example.com/base@sha256:1: "
)
LAST_WORDS = [
    ("failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF",
     Temporary, Reason.BUILDER_UNAVAILABLE),
    (DIAL + 'desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate '
     'signed by unknown authority"', Permanent, Reason.BUILDER_UNAVAILABLE),
    (DIAL + 'desc = "transport: Error while dialing: dial unix /b.sock: connect: permission denied"',
     Permanent, Reason.BUILDER_UNAVAILABLE),
    (DIAL + 'desc = "transport: Error while dialing: dial unix /b.sock: connect: no such file or directory"',
     Temporary, Reason.BUILDER_UNAVAILABLE),
    (PUSH + "unexpected status from POST request to https://r.example.com/v2/digits/blobs/uploads/: 401 Unauthorized",
     Permanent, Reason.REGISTRY_DENIED),
    (PUSH + "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
     Permanent, Reason.REGISTRY_DENIED),
    (PUSH + "server message: insufficient_scope: authorization failed", Permanent, Reason.REGISTRY_DENIED),
    (PUSH + "denied: requested access to the resource is denied", Permanent, Reason.REGISTRY_DENIED),
    (PUSH + "unexpected status from PUT request to https://r.example.com/: 503 Service Unavailable",
     Temporary, Reason.REGISTRY_UNAVAILABLE),
    (PUSH + 'failed to do request: Head "https://r.example.com/": dial tcp: lookup r.example.com: no such host',
     Temporary, Reason.REGISTRY_UNAVAILABLE),
    (PULL + "r.example.com/base@sha256:1: not found", Permanent, Reason.IMAGE_UNKNOWN),
    (PULL + "pull access denied, repository does not exist or may require authorization: server message: "
     "insufficient_scope: authorization failed", Permanent, Reason.REGISTRY_DENIED),
    (PULL + 'failed to do request: Head "https://r.example.com/": dial tcp 10.0.0.1:443: i/o timeout',
     Temporary, Reason.REGISTRY_UNAVAILABLE),
    ("failed to solve: write /var/lib/buildkit/content/ingest/1/data: no space left on device",
     Permanent, Reason.DISK_FULL),
    ("failed to solve: dockerfile parse error on line 1: unknown instruction: FRUM",
     Permanent, Reason.IMAGE_BUILD_FAILED),
    ("", Permanent, Reason.IMAGE_BUILD_FAILED),
]  # fmt: skip


@pytest.mark.parametrize(("said", "kind", "reason"), LAST_WORDS)
def test_last_words(said: str, kind: type[NightferryError], reason: Reason):
    error = explained(told(said))
    assert (type(error), error.reason) == (kind, reason)


@pytest.mark.parametrize(("said", "kind", "reason"), [words for words in LAST_WORDS if PUSH in words[0]])
def test_a_push_fails_as_a_step_too(said: str, kind: type[NightferryError], reason: Reason):
    error = explained(told(said, "exporting to image", error=said.removeprefix("failed to solve: ")))
    assert (type(error), error.reason) == (kind, reason)


REFUSED = "E   ConnectionError: connection refused, 401 Unauthorized, no such host"
STEPS = [
    ("[test 3/3] RUN pytest", ("1 failed",), Permanent, Reason.IMAGE_TESTS_FAILED),
    ("[test 3/3] RUN pytest", (REFUSED,), Permanent, Reason.IMAGE_TESTS_FAILED),
    ("[test 2/3] RUN pip install", ("no such package",), Permanent, Reason.IMAGE_BUILD_FAILED),
    ("[packages 3/3] RUN it", ("no",), Permanent, Reason.IMAGE_BUILD_FAILED),
    ("[packages 3/3] RUN pip install", (
        "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<pip…",
        "ERROR: No matching distribution found for flask",
    ), Temporary, Reason.IMAGE_BUILD_FAILED),
    ("[packages 3/3] RUN pip install", ("ERROR: [Errno 28] No space left on device",), Permanent, Reason.DISK_FULL),
]  # fmt: skip


@pytest.mark.parametrize(("step", "lines", "kind", "reason"), STEPS)
def test_a_step_that_fails(step: str, lines: tuple[str, ...], kind: type[NightferryError], reason: Reason):
    error = explained(told(f"failed to solve: {FAILED}", step, *lines))
    assert (type(error), error.reason) == (kind, reason)


def test_the_steps_that_were_cancelled_beside_it_are_not_blamed():
    progress = BuildProgress(io.StringIO())
    for digest, name, error in (
        ("sha256:0", "[code 1/1] RUN other", "context canceled"),
        ("sha256:1", "[test 3/3] RUN pytest", FAILED),
    ):
        progress.feed(json.dumps({"vertexes": [{"digest": digest, "name": name, "error": error}]}))
    assert progress.failed is not None
    assert progress.failed.name == "[test 3/3] RUN pytest"


@pytest.mark.parametrize("line", ["", "{", "[]", "null", '{"vertexes": null}', '{"logs": [{}]}', "\x00"])
def test_lines_that_are_not_progress_do_no_harm(line: str):
    progress = BuildProgress(io.StringIO())
    progress.feed(line)
    assert progress.failed is None


def fault(text: str, target: str = "lock") -> NightferryError:
    progress = told("failed to solve: " + FAILED, "[resolved 1/1] RUN lock", text)
    return explain(progress, replace(REQUEST, target=target, tests=False), "unix:///b.sock", LOG)


def test_a_recipes_own_sentence_is_told():
    error = fault('NIGHTFERRY-FAULT {"sentence": "a.txt:3 is wrong.", "temporary": false}')
    assert (type(error), error.reason) == (Permanent, Reason.APP_REQUIREMENTS_WRONG)
    assert error.sentence == "a.txt:3 is wrong. All of it is in build.log."


@pytest.mark.parametrize(
    "text", ["NIGHTFERRY-FAULT {}", "NIGHTFERRY-FAULT {no JSON}", "said NIGHTFERRY-FAULT {}", "NIGHTFERRY-FAULT {[]}"]
)
def test_what_only_looks_like_such_a_sentence_is_a_line_as_any(text: str):
    assert fault(text).reason is Reason.IMAGE_BUILD_FAILED


def test_an_apps_tests_cannot_have_themselves_run_again():
    line = 'NIGHTFERRY-FAULT {"sentence": "Try it again.", "temporary": true}'
    progress = told("failed to solve: " + FAILED, "[test 3/3] RUN pytest", line)
    assert explained(progress).reason is Reason.IMAGE_TESTS_FAILED


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("r.example.com/base@sha256:1", "NIGHTFERRY_BASE_IMAGE"),
        ("r.example.com/other@sha256:2", "FROM line"),
    ],
)
def test_who_is_to_correct_an_image_that_is_not_there(base: str, said: str):
    request = replace(REQUEST, arguments={"BASE_IMAGE": base})
    progress = told(PULL + "r.example.com/base@sha256:1: not found")
    assert said in explain(progress, request, "unix:///b.sock", LOG).sentence


def test_a_base_of_docker_hub_is_known_by_its_short_name_too():
    request = replace(REQUEST, arguments={"BASE_IMAGE": "python@sha256:1"})
    image = "docker.io/library/python@sha256:1"
    progress = told(f"failed to solve: {image}: failed to resolve source metadata for {image}: {image}: not found")
    assert "NIGHTFERRY_BASE_IMAGE" in explain(progress, request, "unix:///b.sock", LOG).sentence


def test_no_address_of_a_package_index_is_in_a_sentence():
    lines = (
        "Looking in indexes: https://pip.example/simple, https://pip.example/more",
        "Downloading https://pip.example/packages/flask-3.0.1.tar.gz (12 kB)",
        "ERROR: HTTPSConnectionPool(host='pip.example', port=443): it failed",
    )
    error = explained(told(f"failed to solve: {FAILED}", "[app 3/3] RUN pip install -i https://pip.example x", *lines))
    assert "pip.example" not in error.sentence
    assert "flask-3.0.1.tar.gz" in error.sentence
