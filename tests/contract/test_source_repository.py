"""What every SourceRepository does: the one in memory, the project's own checkout, and repositories elsewhere, whose
server gives a commit by its id or does not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from nightferry.clients.doors.source_repository import SourceRepository
from nightferry.clients.git.source import GitSource
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent

from tests.fakes.git_origin import Origin, served
from tests.fakes.memory.memory_source import MemorySource

FILES = {"app/main.py": b"print(1)\n", "tests/app/test.py": b"def test(): ...\n"}
NOWHERE = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 7\n"


class MemoryWorld:
    def __init__(self) -> None:
        self.source = MemorySource()

    def commit(self, files: dict[str, bytes]) -> str:
        return self.source.commit("main", files)

    def tag(self, name: str) -> None:
        self.source.tags[name] = self.source.refs["main"]

    def point(self, name: str) -> str:
        self.source.elsewhere.add(name)
        return self.commit(FILES | {name: NOWHERE})


class GitWorld:
    def __init__(self, origin: Origin, source: SourceRepository) -> None:
        self.origin = origin
        self.source = source

    def commit(self, files: dict[str, bytes]) -> str:
        for old in self.origin.folder.iterdir():
            if old.is_dir() and old.name != ".git":
                shutil.rmtree(old)
        return self.origin.commit(files)

    def tag(self, name: str) -> None:
        self.origin.git("tag", "-a", "-m", "one", name)

    def point(self, name: str) -> str:
        return self.commit(FILES | {name: NOWHERE})


World = MemoryWorld | GitWorld


@pytest.fixture(params=["memory", "own", "mirrored", "mirrored, no commit by its id"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "memory":
        memory = MemoryWorld()
        memory.commit(FILES)
        yield memory
        return
    origin = Origin(tmp_path / "origin")
    origin.commit(FILES)
    work, nowhere = tmp_path / "work", tmp_path / "nowhere"
    if request.param == "own":
        yield GitWorld(origin, GitSource(".", work, origin.folder))
    elif request.param == "mirrored":
        yield GitWorld(origin, GitSource(origin.address, work, nowhere))
    else:
        with served(tmp_path, newest_protocol=False) as address:
            yield GitWorld(origin, GitSource(f"{address}/origin/.git", work, nowhere))


def failure_of(call, *arguments) -> NightferryError:
    with pytest.raises(NightferryError) as failure:
        call(*arguments)
    return failure.value


def exported(world: World, commit: str, path: str, target: Path) -> dict[str, bytes]:
    world.source.export(commit, path, target)
    return {str(file.relative_to(target)): file.read_bytes() for file in target.rglob("*") if file.is_file()}


@pytest.mark.parametrize("ref", ["main", "HEAD", "v1", "abbreviated", "whole"])
def test_a_ref_is_pinned_to_its_commit(world: World, ref: str, tmp_path: Path):
    commit = world.commit(FILES | {"app/main.py": b"print(2)\n"})
    world.tag("v1")
    pinned = world.source.pin({"abbreviated": commit[:9], "whole": commit}.get(ref, ref), "app", "tests/app")
    assert (pinned.commit, pinned.path, pinned.tests) == (commit, "app", "tests/app")
    assert exported(world, pinned.commit, "app", tmp_path / "out") == {"main.py": b"print(2)\n"}


@pytest.mark.parametrize("ref", ["v1", "abbreviated", "whole"])
def test_a_ref_to_an_earlier_commit(world: World, ref: str, tmp_path: Path):
    commit = world.source.pin("main", "app", None).commit
    world.tag("v1")
    world.commit(FILES | {"app/main.py": b"print(2)\n"})
    world.source.pin("main", "app", None)
    pinned = world.source.pin({"abbreviated": commit[:9], "whole": commit}.get(ref, ref), "app", None)
    assert pinned.commit == commit
    assert exported(world, commit, "app", tmp_path / "out") == {"main.py": b"print(1)\n"}


def test_the_newest_commit_is_found(world: World):
    before = world.source.pin("main", "app", None)
    commit = world.commit(FILES | {"app/main.py": b"print(2)\n"})
    after = world.source.pin("main", "app", None)
    assert (after.commit, after.tree != before.tree) == (commit, True)


def test_a_commit_outside_the_app_leaves_its_tree(world: World):
    before = world.source.pin("main", "app", None)
    world.commit(FILES | {"README": b"hello"})
    after = world.source.pin("main", "app", None)
    assert (after.tree, after.commit != before.commit) == (before.tree, True)


def test_a_branch_goes_before_a_tag_of_its_name(world: World):
    world.tag("main")
    commit = world.commit(FILES | {"app/main.py": b"print(3)\n"})
    assert world.source.pin("main", "app", None).commit == commit


@pytest.mark.parametrize("ref", ["no-such-branch", "f" * 40, "--upload-pack=x", "main:app", "HEAD^{tree}", "ma*", ""])
def test_an_unknown_ref(world: World, ref: str):
    failure = failure_of(world.source.pin, ref, "app", None)
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_REF_UNKNOWN
    assert repr(ref) in failure.sentence


@pytest.mark.parametrize(("path", "tests"), [("ap", None), ("app/main.py", None), ("app", "no/tests")])
def test_a_commit_without_the_folder(world: World, path: str, tests: str | None):
    failure = failure_of(world.source.pin, "main", path, tests)
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_PATH_MISSING
    assert (tests or path) in failure.sentence


def test_the_whole_repository_can_be_the_app(world: World, tmp_path: Path):
    pinned = world.source.pin("main", ".", None)
    assert pinned.tree != world.source.pin("main", "app", None).tree
    assert exported(world, pinned.commit, ".", tmp_path / "out") == FILES


def test_an_export_replaces_what_was_there(world: World, tmp_path: Path):
    commit = world.source.pin("main", "app", None).commit
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("gone")
    assert exported(world, commit, "app", tmp_path / "out") == {"main.py": b"print(1)\n"}


def test_a_file_that_is_elsewhere_and_cannot_be_had_is_refused_by_name(world: World, tmp_path: Path):
    commit = world.point("app/weights.bin")
    assert world.source.pin("main", "app", None).commit == commit
    failure = failure_of(world.source.export, commit, "app", tmp_path / "out")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_INCOMPLETE
    assert "weights.bin" in failure.sentence
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_elsewhere_does_not_matter_outside_the_app(world: World, tmp_path: Path):
    commit = world.point("data/weights.bin")
    assert exported(world, commit, "app", tmp_path / "out") == {"main.py": b"print(1)\n"}
