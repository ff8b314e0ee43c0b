"""What a container engine does with a candidate: in memory, and the sandbox's Docker engine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nightferry import settings
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.docker_engine.runner import DockerRunner, connect_docker
from nightferry.clients.doors.container_runner import ContainerRunner
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Environment, Resources
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.image.test_image import READY, start_candidate, wait_ready

from tests.fakes import http_registry
from tests.fakes.memory.memory_registry import MemoryRegistry
from tests.fakes.memory.memory_runner import MemoryRunner

READY_PROGRAM = """\
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
print("its last word", flush=True)
http.server.HTTPServer(("127.0.0.1", 8080), Ready).serve_forever()
"""
PROGRAMS = {
    "ready": READY_PROGRAM,
    "never ready": "import time; print('its last word', flush=True); time.sleep(600)",
    "exit 3": "print('its last word', flush=True); raise SystemExit(3)",
    "facts": (
        "import json, os\n"
        "def fails(path):\n"
        "    try: open(path, 'w')\n"
        "    except OSError: return True\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(json.dumps({'user': os.getuid(), 'root': fails('/x'), 'capabilities': status['CapBnd'].strip(),\n"
        "  'new': status['NoNewPrivs'].strip(), 'interfaces': sorted(os.listdir('/sys/class/net')),\n"
        "  'variable': os.environ.get('NIGHTFERRY_RELEASE')}), flush=True)\n" + READY_PROGRAM
    ),
    "greedy": "x = b'1' * (512 << 20); print(len(x))",
}


def within(memory: str) -> Environment:
    """An environment with this limit of memory."""
    asked = Resources(memory=memory, memory_limit=memory)
    return Environment(name="production", namespace="production", resources=asked)


@dataclass
class Door:
    """An engine, a free container name, and images by what they do."""

    runner: ContainerRunner
    name: str
    image: Callable[[str], ImageRef]
    unknown: ImageRef

    def start(self, behaviour: str, memory: int = 256 << 20) -> None:
        self.runner.start(self.image(behaviour), self.name, {"NIGHTFERRY_RELEASE": "one"}, memory, READY)

    def start_and_wait(self, behaviour: str, memory: str = "256Mi") -> None:
        start_candidate(self.runner, self.image(behaviour), self.name, within(memory), {"NIGHTFERRY_RELEASE": "one"})
        wait_ready(self.runner, self.name, SystemClock(), 60)

    def failure(self, behaviour: str, memory: str = "256Mi") -> NightferryError:
        with pytest.raises(NightferryError) as failure:
            self.start_and_wait(behaviour, memory)
        return failure.value


def _in_memory() -> Door:
    registry = MemoryRegistry()

    def image(behaviour: str) -> ImageRef:
        made = ImageRef("127.0.0.1:5000/test", "sha256:" + uuid.uuid4().hex * 2)
        registry.push(made, (), {"behaviour": behaviour})
        return made

    return Door(MemoryRunner(registry), "one", image, ImageRef("127.0.0.1:5000/test", "sha256:" + "0" * 64))


def _in_sandbox(folder: Path) -> Door:
    here = settings.load()
    repository = f"{here.require('REGISTRY')}/test-{uuid.uuid4().hex[:12]}"

    def image(behaviour: str) -> ImageRef:
        (folder / "program.py").write_text(PROGRAMS.get(behaviour, ""))
        program = '["/no/such/program"]' if behaviour == "not runnable" else '["python3", "/program.py"]'
        (folder / "Dockerfile").write_text(
            "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS it\nCOPY program.py /program.py\nUSER 65532:65532\n"
            f"ENTRYPOINT {program}\nLABEL made-for={repository}\n"
        )
        arguments = {"BASE_IMAGE": here.require("BASE_IMAGE")}
        request = BuildRequest(folder / "Dockerfile", "it", {}, arguments, push=(f"{repository}:one",))
        made = connect.builder(here).build(request, folder / "build.log")
        assert made is not None
        return made

    unknown = ImageRef(repository, "sha256:" + "0" * 64)
    return Door(connect.container_runner(here), f"nf-test-{uuid.uuid4().hex[:12]}", image, unknown)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Door]:
    door = _in_sandbox(tmp_path)
    yield door
    door.runner.remove(door.name)
    door.runner.keep_only(door.unknown)


@pytest.fixture(params=["memory", pytest.param("sandbox", marks=pytest.mark.sandbox)])
def door(request: pytest.FixtureRequest) -> Door:
    return _in_memory() if request.param == "memory" else request.getfixturevalue("real")


def test_a_candidate_becomes_ready(door: Door):
    door.start_and_wait("ready")
    state = door.runner.state(door.name)
    assert state is not None
    assert (state.running, state.healthy) == (True, True)


def test_its_words_are_kept(door: Door):
    door.start_and_wait("ready")
    assert "its last word" in door.runner.logs(door.name, 5)


def test_one_that_ends_fails_with_its_last_words(door: Door):
    error = door.failure("exit 3")
    assert (type(error), error.reason) == (Permanent, Reason.IMAGE_START_FAILED)
    assert "exit code 3" in error.sentence
    assert "its last word" in error.sentence


def test_one_that_cannot_be_run_fails(door: Door):
    error = door.failure("not runnable")
    assert (type(error), error.reason) == (Permanent, Reason.IMAGE_START_FAILED)


def test_what_an_earlier_try_left_is_replaced(door: Door):
    door.start("never ready")
    door.start_and_wait("ready")


def test_removing_again_does_nothing(door: Door):
    door.start("never ready")
    assert door.runner.remove(door.name)
    assert not door.runner.remove(door.name)
    assert door.runner.state(door.name) is None
    assert door.runner.logs(door.name, 5) == ""


def test_an_unknown_image_is_permanent(door: Door):
    with pytest.raises(Permanent) as failure:
        door.runner.start(door.unknown, door.name, {}, 256 << 20, READY)
    assert failure.value.reason == Reason.IMAGE_UNKNOWN


@pytest.mark.sandbox
def test_it_runs_as_in_production(real: Door):
    real.start_and_wait("facts")
    facts = json.loads(real.runner.logs(real.name, 5).splitlines()[0])
    assert facts == {
        "user": 65532,
        "root": True,
        "capabilities": "0" * 16,
        "new": "1",
        "interfaces": ["lo"],
        "variable": "one",
    }


@pytest.mark.sandbox
def test_memory_is_limited(real: Door):
    error = real.failure("greedy", memory="64Mi")
    assert (type(error), error.reason) == (Permanent, Reason.IMAGE_START_FAILED)
    assert "memory" in error.sentence


@pytest.mark.sandbox
def test_one_that_is_not_ready_in_time_is_tried_again(real: Door):
    start_candidate(real.runner, real.image("never ready"), real.name, within("64Mi"), {})
    with pytest.raises(Temporary) as failure:
        wait_ready(real.runner, real.name, SystemClock(), 1)
    assert failure.value.reason == Reason.IMAGE_START_FAILED
    assert "its last word" in failure.value.sentence


@pytest.mark.sandbox
def test_a_registry_that_is_down_is_temporary(real: Door):
    image = ImageRef("127.0.0.1:1/digits", "sha256:" + "0" * 64)
    with pytest.raises(Temporary) as failure:
        real.runner.start(image, real.name, {}, 256 << 20, READY)
    assert failure.value.reason == Reason.REGISTRY_UNAVAILABLE


@pytest.mark.sandbox
@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_registry_that_refuses_is_permanent(real: Door, auth: str):
    with http_registry.running() as served:
        served.auth = auth
        with pytest.raises(Permanent) as failure:
            real.runner.start(ImageRef(f"{served.host}/digits", "sha256:" + "0" * 64), real.name, {}, 256 << 20, READY)
    assert failure.value.reason == Reason.REGISTRY_DENIED


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1"])
def test_an_engine_that_is_down_is_temporary(address: str):
    with pytest.raises(Temporary) as failure:
        connect_docker(address)
    assert failure.value.reason == Reason.DOCKER_UNAVAILABLE
    assert address in failure.value.sentence


@pytest.mark.sandbox
def test_an_engine_that_goes_away_is_temporary(real: Door, monkeypatch: pytest.MonkeyPatch):
    api = connect_docker(settings.load().require("DOCKER_HOST"))
    monkeypatch.setattr(api.get_adapter(api.base_url), "socket_path", "/nowhere/docker.sock")
    api.get_adapter(api.base_url).pools.clear()
    with pytest.raises(Temporary) as failure:
        DockerRunner(api).state(real.name)
    assert failure.value.reason == Reason.DOCKER_UNAVAILABLE


def test_older_images_of_the_repository_do_not_pile_up(door: Door):
    older, newer, used = door.image("exit 3"), door.image("ready"), door.image("never ready")
    for image in (older, newer):
        door.runner.start(image, door.name, {}, 256 << 20, READY)
        door.runner.remove(door.name)
    door.runner.start(used, door.name, {}, 256 << 20, READY)

    assert door.runner.keep_only(newer) == 1
    assert door.runner.keep_only(newer) == 0
    assert door.runner.state(door.name) is not None
