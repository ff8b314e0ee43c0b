"""What an image builder does: in memory, and the sandbox's BuildKit, which the failures' words are met on for real."""

from __future__ import annotations

import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from nightferry import settings
from nightferry.clients import connect
from nightferry.clients.buildkit.builder import BuildKit
from nightferry.clients.doors.image_builder import BuildRequest, ImageBuilder
from nightferry.clients.doors.image_registry import ImageRegistry
from nightferry.clients.registry.auth import Credentials
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

from tests.fakes import http_registry
from tests.fakes.memory.memory_builder import MemoryBuilder
from tests.fakes.memory.memory_registry import MemoryRegistry

DOCKERFILE = """\
ARG BASE_IMAGE
FROM scratch AS test
COPY --from=app . /app
FROM scratch AS serving
COPY --from=app . /app
COPY --from=model . /model
"""


@dataclass
class Door:
    """A builder, the registry that it pushes to, and a repository of this test's own."""

    builder: ImageBuilder
    registry: ImageRegistry
    repository: str
    folder: Path
    base: str = ""

    def request(self, dockerfile: str = DOCKERFILE, **changes: object) -> BuildRequest:
        (self.folder / "Dockerfile").write_text(dockerfile)
        contexts = {"app": self.folder / "app", "model": self.folder / "model"}
        request = BuildRequest(self.folder / "Dockerfile", "serving", contexts, {"BASE_IMAGE": self.base})
        return replace(request, **changes)

    def build(self, dockerfile: str = DOCKERFILE, **changes: object) -> ImageRef | None:
        return self.builder.build(self.request(dockerfile, **changes), self.folder / "logs" / "build.log")

    def failure(self, dockerfile: str = DOCKERFILE, **changes: object) -> NightferryError:
        with pytest.raises(NightferryError) as failure:
            self.build(dockerfile, **changes)
        return failure.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two build contexts."""
    for name in ("app", "model"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.txt").write_text(f"{name}\n")
    return tmp_path


def _in_sandbox(folder: Path) -> Door:
    here = settings.load()
    repository = f"{here.require('REGISTRY')}/test-{uuid.uuid4().hex[:12]}/digits"
    return Door(connect.builder(here), connect.registry(here), repository, folder, here.require("BASE_IMAGE"))


@pytest.fixture(params=["memory", pytest.param("sandbox", marks=pytest.mark.sandbox)])
def door(request: pytest.FixtureRequest, folder: Path) -> Iterator[Door]:
    if request.param == "memory":
        registry = MemoryRegistry()
        yield Door(MemoryBuilder(registry), registry, "127.0.0.1:5000/digits", folder)
    else:
        yield _in_sandbox(folder)


@pytest.fixture
def real(folder: Path) -> Door:
    return _in_sandbox(folder)


def test_what_was_pushed_is_found_under_its_tag(door: Door):
    image = door.build(push=(f"{door.repository}:one", f"{door.repository}:two"))
    assert image is not None
    assert image == door.registry.find(door.repository, "one") == door.registry.find(door.repository, "two")


def test_nothing_leaves_the_builder_unless_asked(door: Door):
    assert door.build() is None
    assert door.registry.find(door.repository, "one") is None


def test_equal_inputs_give_an_equal_digest_and_others_another(door: Door):
    push = (f"{door.repository}:one",)
    first = door.build(push=push)
    (door.folder / "app" / "file.txt").touch()
    assert door.build(push=push) == first
    (door.folder / "model" / "file.txt").write_text("another\n")
    assert door.build(push=push) != first


def test_the_targets_files_are_written_into_a_folder(door: Door):
    assert door.build(out=door.folder / "out, of the target") is None
    assert (door.folder / "out, of the target" / "model" / "file.txt").read_text() == "model\n"


def test_a_dockerfile_may_stand_outside_its_context(door: Door):
    door.build("FROM scratch AS serving\nCOPY file.txt /copied\n", context=door.folder / "app", out=door.folder / "out")
    assert (door.folder / "out" / "copied").read_text() == "app\n"


def test_the_log_has_the_output(door: Door):
    door.build(target="test")
    assert "test" in (door.folder / "logs" / "build.log").read_text()


def test_a_dockerfile_that_is_none_is_permanent(door: Door):
    error = door.failure("FRUM scratch AS serving\n")
    assert (type(error), error.reason) == (Permanent, Reason.IMAGE_BUILD_FAILED)


def test_an_unknown_target_is_permanent(door: Door):
    assert door.failure(target="nowhere").reason == Reason.IMAGE_BUILD_FAILED


FAILING = """\
ARG BASE_IMAGE
FROM {base} AS test
COPY --from=app . /app
RUN echo preparing{first}
RUN echo 'assert 1 == 2'{last}
"""


@pytest.mark.parametrize(
    ("first", "last", "tests", "reason"),
    [
        ("", "; exit 1", True, Reason.IMAGE_TESTS_FAILED),
        ("", "; exit 1", False, Reason.IMAGE_BUILD_FAILED),
        ("; exit 1", "", True, Reason.IMAGE_BUILD_FAILED),
    ],
)
def test_only_the_tests_own_step_fails_as_tests(door: Door, first: str, last: str, tests: bool, reason: Reason):
    dockerfile = FAILING.format(base="${BASE_IMAGE}", first=first, last=last)
    error = door.failure(dockerfile, target="test", tests=tests)
    assert (type(error), error.reason) == (Permanent, reason)


@pytest.mark.sandbox
def test_the_sentence_has_the_steps_last_words_and_the_log(real: Door):
    error = real.failure(FAILING.format(base="${BASE_IMAGE}", first="", last="; exit 1"), target="test", tests=True)
    assert "assert 1 == 2" in error.sentence
    assert str(real.folder / "logs" / "build.log") in error.sentence
    assert "preparing" in (real.folder / "logs" / "build.log").read_text()


@pytest.mark.sandbox
def test_what_was_built_before_is_built_again_where_that_is_asked_for(real: Door):
    dockerfile = (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS made\nRUN date +%s.%N > /now\n"
        "FROM scratch AS serving\nCOPY --from=made /now /now\n"
    )

    def now(name: str, *, no_cache: bool) -> str:
        real.build(dockerfile, out=real.folder / name, no_cache=no_cache)
        return (real.folder / name / "now").read_text()

    first = now("first", no_cache=False)
    assert now("second", no_cache=False) == first
    assert now("third", no_cache=True) != first


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("target", "temporary", "kind", "reason"),
    [
        ("lock", "false", Permanent, Reason.APP_REQUIREMENTS_WRONG),
        ("serving", "false", Permanent, Reason.IMAGE_BUILD_FAILED),
        ("lock", "true", Temporary, Reason.IMAGE_BUILD_FAILED),
    ],
)
def test_a_recipe_says_itself_what_is_wrong(real: Door, target: str, temporary: str, kind: type, reason: Reason):
    said = f'NIGHTFERRY-FAULT {{"sentence": "a.txt:3 is wrong.", "temporary": {temporary}}}'
    dockerfile = f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}} AS {target}\nRUN echo '{said}'; exit 1\n"
    error = real.failure(dockerfile, target=target)
    assert (type(error), error.reason) == (kind, reason)
    assert error.sentence.startswith("a.txt:3 is wrong.")
    assert str(real.folder / "logs" / "build.log") in error.sentence


@pytest.mark.sandbox
def test_requirements_that_pip_refuses_are_permanent(real: Door):
    (real.folder / "app" / "requirements.txt").write_text("no such == requirement ==\n")
    dockerfile = (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS serving\nRUN python3 -m venv /v\nCOPY --from=app . /app\n"
        "RUN /v/bin/pip install -r /app/requirements.txt\n"
    )
    error = real.failure(dockerfile)
    assert (type(error), error.reason) == (Permanent, Reason.IMAGE_BUILD_FAILED)
    assert "requirement" in error.sentence


@pytest.mark.sandbox
def test_a_package_index_that_does_not_answer_is_temporary(real: Door):
    dockerfile = (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS serving\nRUN python3 -m venv /v\n"
        "RUN /v/bin/pip install --retries 1 --timeout 2 --index-url https://127.0.0.1:1/simple nothing\n"
    )
    error = real.failure(dockerfile)
    assert (type(error), error.reason) == (Temporary, Reason.IMAGE_BUILD_FAILED)


@pytest.mark.sandbox
def test_a_full_disk_is_said(real: Door):
    # The step meets the kernel's own words on a file system of 4 kB.
    dockerfile = (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS serving\n"
        "RUN --mount=type=tmpfs,target=/small,size=4096 head -c 100000 /dev/zero > /small/file\n"
    )
    error = real.failure(dockerfile)
    assert (type(error), error.reason) == (Permanent, Reason.DISK_FULL)


@pytest.mark.sandbox
def test_a_base_image_that_is_not_there_is_permanent(real: Door):
    missing = f"{real.repository}@sha256:{'0' * 64}"
    error = real.failure("ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS serving\n", arguments={"BASE_IMAGE": missing})
    assert (type(error), error.reason) == (Permanent, Reason.IMAGE_UNKNOWN)
    assert missing in error.sentence


@pytest.mark.sandbox
def test_a_registry_that_is_down_is_temporary(real: Door):
    error = real.failure(push=("127.0.0.1:1/digits:one",))
    assert (type(error), error.reason) == (Temporary, Reason.REGISTRY_UNAVAILABLE)


@pytest.mark.sandbox
@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_registry_that_refuses_is_permanent(real: Door, auth: str):
    with http_registry.running() as served:
        served.auth = auth
        error = real.failure(push=(f"{served.host}/digits:one",))
        assert (type(error), error.reason) == (Permanent, Reason.REGISTRY_DENIED)
        assert "ada" not in error.sentence


@pytest.mark.sandbox
@pytest.mark.parametrize("given", ["file", "credentials"])
def test_the_registry_is_shown_the_credentials(real: Door, given: str):
    with http_registry.running() as served:
        served.auth = "basic"
        ada = Credentials(http_registry.USER, http_registry.PASSWORD)
        file = real.folder / "auth.json"
        file.write_text(ada.as_docker(served.host))
        options = {"auth_file": file} if given == "file" else {"credentials": {served.host: ada}}
        here = settings.load()
        real.builder = BuildKit(here.require("BUILDCTL"), here.require("BUILDKIT"), **options)
        image = real.build(push=(f"{served.host}/digits:one",))
        assert image is not None
        assert ("digits", "one") in served.manifests
        assert http_registry.PASSWORD not in (real.folder / "logs" / "build.log").read_text()


@pytest.mark.sandbox
@pytest.mark.parametrize("address", ["unix:///nowhere/buildkitd.sock", "tcp://127.0.0.1:1"])
def test_a_builder_that_is_down_is_temporary(real: Door, address: str):
    real.builder = BuildKit(settings.load().require("BUILDCTL"), address)
    error = real.failure()
    assert (type(error), error.reason) == (Temporary, Reason.BUILDER_UNAVAILABLE)
    assert address in error.sentence


@pytest.mark.sandbox
def test_a_build_that_hangs_is_ended(real: Door):
    here = settings.load()
    real.builder = BuildKit(here.require("BUILDCTL"), here.require("BUILDKIT"), timeout=3)
    error = real.failure("ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS serving\nRUN sleep 600\n")
    assert (type(error), error.reason) == (Temporary, Reason.BUILDER_UNAVAILABLE)


@pytest.mark.sandbox
def test_a_client_that_is_not_there_is_permanent(real: Door):
    real.builder = BuildKit("/nowhere/buildctl", settings.load().require("BUILDKIT"))
    error = real.failure()
    assert (type(error), error.reason) == (Permanent, Reason.BUILDER_UNAVAILABLE)


@pytest.mark.sandbox
def test_secrets_reach_the_step_and_neither_layers_nor_log(real: Door, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://ada:hunter-two@example.com/simple")
    dockerfile = (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS build\n"
        "RUN --mount=type=secret,id=pipconf grep -c hunter.two /run/secrets/pipconf > /count\n"
        "FROM scratch AS serving\nCOPY --from=build /count /run /seen/\n"
    )
    assert real.build(dockerfile, push=(f"{real.repository}:one",)) is not None
    log = (real.folder / "logs" / "build.log").read_text()
    assert "hunter-two" not in log
    command = [settings.load().require("BUILDCTL"), "--addr", settings.load().require("BUILDKIT"), "build"]
    command += ["--frontend=dockerfile.v0", "--local", f"context={real.folder}", "--local", f"dockerfile={real.folder}"]
    command += ["--opt", f"build-arg:BASE_IMAGE={real.registry.find(real.repository, 'one')}"]
    (real.folder / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n")
    command += ["--output", f"type=local,dest={real.folder / 'out'}"]
    subprocess.run(command, check=True, capture_output=True)
    held = [path for path in (real.folder / "out").rglob("*") if path.is_file() and b"hunter" in path.read_bytes()]
    assert (real.folder / "out" / "seen" / "count").read_text().strip() == "1"
    assert held == []


@pytest.mark.sandbox
def test_a_build_that_is_interrupted_ends_its_client(real: Door, monkeypatch: pytest.MonkeyPatch):
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen

    def remember(*arguments: object, **options: object) -> subprocess.Popen[str]:
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.alarm(3)
        with pytest.raises(KeyboardInterrupt):
            real.build("ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS serving\nRUN sleep 601\n")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert started
    assert not [process for process in started if process.poll() is None]
