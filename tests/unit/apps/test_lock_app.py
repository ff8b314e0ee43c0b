"""Locks: found, made once, renewed; and which files of an app they follow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.lock import PinnedLock
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.app.lock_app import Asked, find_lock, lock_app, renew_lock
from nightferry.steps.app.requirements_files import copy_requirements, lock_key, requirements_files

from tests.fakes.memory.memory_locks import MemoryLocks

BASE = f"r.example.com/base@sha256:{'0' * 64}"


class Resolver:
    """Stands for BuildKit with the recipe's target `lock`: flask has the version that is set."""

    def __init__(self) -> None:
        self.version = "3.0.1"
        self.wheel = b""
        """Of flask, if it is built from a source distribution."""
        self.requests: list[BuildRequest] = []
        self.seen: list[str] = []
        """The files of the last build context."""
        self.meanwhile: Callable[[], object] = lambda: None
        self.fault: NightferryError | None = None

    def build(self, request: BuildRequest, log: Path) -> None:
        self.requests.append(request)
        app = request.contexts["app"]
        self.seen = sorted(str(path.relative_to(app)) for path in app.rglob("*") if path.is_file())
        if self.fault:
            raise self.fault
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        file = f"flask-{self.version}-py3-none-any.whl"
        flask = {"name": "flask", "version": self.version, "file": file, "sha256": "0" * 64, "kind": "index"}
        if self.wheel and request.out:
            flask |= {"sha256": hashlib.sha256(self.wheel).hexdigest(), "kind": "kept"}
            (request.out / "wheels").mkdir()
            (request.out / "wheels" / file).write_bytes(self.wheel)
        lock = {"schema": 1, "base_image": BASE, "python": "3.11", "packages": [flask], "system": {}}
        assert request.out is not None
        (request.out / "lock.json").write_text(json.dumps(lock))


class World:
    """An app, a store of locks and a builder."""

    def __init__(self, folder: Path) -> None:
        self.app, self.store, self.builder = folder / "app", MemoryLocks(), Resolver()
        self.app.mkdir()
        self.contract = AppContract()
        self.write("requirements.txt", "flask\n")

    def write(self, name: str, text: str = "") -> None:
        (self.app / name).parent.mkdir(parents=True, exist_ok=True)
        (self.app / name).write_text(text)

    def key(self, **changes: object) -> str:
        return lock_key(self.app, self.contract.model_copy(update=changes), BASE, ("granian",))

    def lock(self, step: Callable[..., PinnedLock] = lock_app) -> PinnedLock:
        asked = Asked(self.app, self.contract, BASE, ("granian",), Path("/project"), Path("logs"))
        return step(asked, self.builder, self.store)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_requirements_are_resolved_once(world: World):
    assert find_lock(world.key(), world.store) is None
    first = world.lock()
    world.builder.version = "3.1.0"
    assert world.lock() == first == find_lock(world.key(), world.store)
    assert (first.number, first.packages) == (1, {"flask": "3.0.1"})
    assert len(world.builder.requests) == 1


def test_what_the_builder_remembers_of_an_earlier_day_is_no_answer(world: World):
    world.lock()
    assert world.builder.requests[0].no_cache


def test_who_comes_second_takes_the_first_ones_lock(world: World):
    def another() -> None:
        world.lock()
        world.builder.version = "3.1.0"

    world.builder.meanwhile = another
    assert world.lock().packages == {"flask": "3.0.1"}
    assert len(world.builder.requests) == 2


def test_a_renewed_lock_is_the_next_one_and_the_earlier_stays(world: World):
    first = world.lock()
    world.builder.version = "3.1.0"
    renewed = world.lock(renew_lock)
    assert (renewed.number, renewed.packages) == (2, {"flask": "3.1.0"})
    assert world.lock() == renewed
    assert world.store.read(first.key, 1) is not None


def test_nothing_is_made_where_nothing_moved(world: World):
    first = world.lock()
    assert world.lock(renew_lock) == first
    assert len(world.store.blobs) == 1


def test_two_who_renew_at_the_same_moment_end_with_one_lock(world: World):
    world.lock()
    world.builder.version = "3.1.0"
    world.builder.meanwhile = lambda: world.lock(renew_lock)
    assert world.lock(renew_lock).number == 2
    assert len(world.store.blobs) == 2


def test_renewing_what_was_never_resolved_makes_the_first_lock(world: World):
    assert world.lock(renew_lock).number == 1


@pytest.mark.parametrize("kind", [Permanent, Temporary])
def test_nothing_is_kept_of_a_build_that_failed(world: World, kind: type[NightferryError]):
    world.builder.fault = kind(Reason.APP_REQUIREMENTS_WRONG, "requirements.txt:1 is wrong.")
    with pytest.raises(kind):
        world.lock()
    assert world.store.blobs == {}


def test_a_lock_that_cannot_be_read_is_said(world: World):
    world.store.blobs[f"{world.key()}/000001/lock.json"] = b"{"
    with pytest.raises(Permanent) as failure:
        world.lock()
    assert failure.value.reason is Reason.LOCK_MISSING


def test_a_lock_that_cannot_be_read_is_renewed_as_its_sentence_says(world: World):
    first = world.lock()
    world.store.blobs[f"{first.key}/000001/lock.json"] = b"{"
    renewed = world.lock(renew_lock)
    assert (renewed.number, renewed.packages) == (2, {"flask": "3.0.1"})
    assert world.lock() == renewed


def test_a_wheel_that_was_lost_is_kept_again_with_a_renewal(world: World, tmp_path: Path):
    world.builder.wheel = b"built here"
    first = world.lock()
    [wheel] = [name for name in world.store.blobs if name.endswith(".whl")]
    del world.store.blobs[wheel]
    assert world.lock(renew_lock) == first
    world.store.fetch(first.key, first.number, tmp_path)
    assert [path.read_bytes() for path in tmp_path.rglob("*.whl")] == [b"built here"]


def test_only_a_file_that_the_contract_does_not_name_may_be_missing(world: World):
    world.lock()
    assert world.builder.requests[0].arguments["REQUIREMENTS_OPTIONAL"]
    world.contract = AppContract(requirements="prod.txt")
    world.lock()
    assert "REQUIREMENTS_OPTIONAL" not in world.builder.requests[1].arguments


def test_the_builder_gets_the_deciding_files_alone(world: World):
    world.write("requirements.txt", "-r deps/more.txt\n-c limits.txt\n./wheels/a.whl\nflask\n")
    world.write("deps/more.txt", "--requirement=deeper.txt\n--find-links vendor\n")
    world.write("deps/deeper.txt", "six  # -r not.txt\n")
    for name in ("limits.txt", "wheels/a.whl", "wheels/b.whl", "vendor/c.tar.gz", "not.txt", "app.py", ".dockerignore"):
        world.write(name)
    world.lock()
    assert world.builder.seen == [
        *("deps/deeper.txt", "deps/more.txt", "limits.txt", "requirements.txt"),
        *("vendor/c.tar.gz", "wheels/a.whl"),
    ]


def test_the_key_follows_what_decides_and_nothing_else(world: World):
    world.write("requirements.txt", "-r more.txt\n./w/a.whl\n")
    world.write("more.txt", "flask\n")
    world.write("w/a.whl", "one")
    before = world.key()
    world.write("app.py", "changed")
    assert world.key(port=9000, system=()) == before
    assert world.key(system=("libgomp1",)) != before
    assert lock_key(world.app, world.contract, "another", ("granian",)) != before
    assert lock_key(world.app, world.contract, BASE) != before
    for name in ("more.txt", "w/a.whl", "requirements.txt"):
        world.write(name, (world.app / name).read_text() + "\n")
        assert world.key() != before
        before = world.key()


def test_a_projects_lock_decides_too(world: World):
    for name in ("sub/pyproject.toml", "sub/uv.lock", "uv.lock"):
        world.write(name)
    contract = AppContract(requirements="sub/pyproject.toml")
    assert list(requirements_files(world.app, contract)) == ["sub/pyproject.toml", "sub/uv.lock"]


@pytest.mark.parametrize("line", ['-r "more of it.txt"', "-c 'more of it.txt'", '--requirement="more of it.txt"'])
def test_a_file_with_spaces_in_its_name_decides_too(world: World, line: str):
    world.write("requirements.txt", f"{line}\n")
    world.write("more of it.txt", "flask\n")
    assert list(requirements_files(world.app, world.contract)) == ["more of it.txt", "requirements.txt"]


@pytest.mark.parametrize(
    "line", ["-r ../secret", "-r link", "./link", "--find-links ..", "-r /etc/hostname", "/etc/hostname"]
)
def test_no_file_of_this_machine_gets_into_a_build(world: World, tmp_path: Path, line: str):
    (tmp_path / "secret").write_text("s3cret")
    (world.app / "link").symlink_to(tmp_path / "secret")
    world.write("requirements.txt", f"{line}\n")
    target = tmp_path / "copied"
    target.mkdir()
    copy_requirements(world.app, world.contract, target)
    assert [path.name for path in target.rglob("*")] == ["requirements.txt"]


def test_files_that_include_each_other_end(world: World):
    world.write("requirements.txt", "-r more.txt\n")
    world.write("more.txt", "-r requirements.txt\n")
    assert list(requirements_files(world.app, world.contract)) == ["more.txt", "requirements.txt"]
