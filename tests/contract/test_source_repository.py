"""What the git adapter does, on real repositories: the project's own checkout, and a mirrored one."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from nightferry.clients.git.source import GitSource
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary


class Origin:
    """A repository that someone commits to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        identity = ["-c", "user.name=ana", "-c", "user.email=ana@example.org"]
        done = subprocess.run(
            ["git", *identity, "-C", str(self.folder), *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, **files: str | bytes) -> str:
        for name, content in files.items():
            path = self.folder / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    repository = Origin(tmp_path / "origin")
    repository.commit(app__main_dot_py="print(1)\n", tests__app__test_dot_py="def test(): ...\n")
    return repository


@pytest.fixture(params=["own", "mirrored"])
def source(request: pytest.FixtureRequest, origin: Origin, tmp_path: Path) -> GitSource:
    if request.param == "own":
        return GitSource(".", tmp_path / "work", origin.folder)
    return GitSource(f"file://{origin.folder}", tmp_path / "work", tmp_path / "nowhere")


def failure_of(call, *arguments) -> NightferryError:
    with pytest.raises(NightferryError) as failure:
        call(*arguments)
    return failure.value


@pytest.mark.parametrize("ref", ["main", "HEAD", "v1", "abbreviated", "whole"])
def test_a_ref_is_pinned_to_its_commit(source: GitSource, origin: Origin, ref: str):
    commit = origin.git("rev-parse", "HEAD")
    origin.git("tag", "-a", "-m", "one", "v1")
    pinned = source.pin({"abbreviated": commit[:9], "whole": commit}.get(ref, ref), "app", "tests/app")
    assert pinned.commit == commit
    assert pinned.tree == origin.git("rev-parse", "HEAD:app")


def test_the_newest_commit_is_found(source: GitSource, origin: Origin):
    before = source.pin("main", "app", None)
    commit = origin.commit(app__main_dot_py="print(2)\n")
    after = source.pin("main", "app", None)
    assert (after.commit, after.tree != before.tree) == (commit, True)


def test_a_commit_outside_the_app_leaves_its_tree(source: GitSource, origin: Origin):
    before = source.pin("main", "app", None)
    origin.commit(README="hello")
    after = source.pin("main", "app", None)
    assert (after.tree, after.commit != before.commit) == (before.tree, True)


def test_a_branch_goes_before_a_tag_of_its_name(source: GitSource, origin: Origin):
    origin.git("tag", "main")
    commit = origin.commit(app__main_dot_py="print(3)\n")
    assert source.pin("main", "app", None).commit == commit


@pytest.mark.parametrize("ref", ["no-such-branch", "f" * 40, "--upload-pack=x", "main:app", "HEAD^{tree}", ""])
def test_an_unknown_ref(source: GitSource, ref: str):
    failure = failure_of(source.pin, ref, "app", None)
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_REF_UNKNOWN
    assert repr(ref) in failure.sentence


@pytest.mark.parametrize(("path", "tests"), [("ap", None), ("app/main.py", None), ("app", "no/tests")])
def test_a_commit_without_the_folder(source: GitSource, path: str, tests: str | None):
    failure = failure_of(source.pin, "main", path, tests)
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_PATH_MISSING
    assert (tests or path) in failure.sentence


def test_the_whole_repository_can_be_the_app(source: GitSource, origin: Origin):
    assert source.pin("main", ".", None).tree == origin.git("rev-parse", "HEAD^{tree}")


def test_export_writes_what_was_committed(source: GitSource, origin: Origin, tmp_path: Path):
    run = origin.folder / "app" / "run.sh"
    run.write_bytes(b"#!/bin/sh\r\n$Id$\n")
    run.chmod(0o777)
    (origin.folder / "app" / "link").symlink_to("deep/näme with space")
    # Neither attributes nor the umask may change what is built.
    commit = origin.commit(
        app___dot_gitattributes="run.sh export-ignore ident\n", **{"app__deep__näme with space": b"\x00\xff\n"}
    )
    target = tmp_path / "exported"
    target.mkdir()
    (target / "old").write_text("gone")
    before = os.umask(0o077)
    try:
        source.export(commit, "app", target)
    finally:
        os.umask(before)
    files = {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}
    assert files == {".gitattributes", "main.py", "run.sh", "link", "deep/näme with space"}
    assert (target / "run.sh").read_bytes() == b"#!/bin/sh\r\n$Id$\n"
    assert (target / "link").read_bytes() == b"\x00\xff\n"
    assert [oct((target / name).stat().st_mode & 0o777) for name in ("run.sh", "main.py", "deep")] == [
        "0o755",
        "0o644",
        "0o755",
    ]
    assert not list(tmp_path.glob(".exported*"))


def test_uncommitted_work_is_not_released(origin: Origin, tmp_path: Path):
    source = GitSource(".", tmp_path / "work", origin.folder)
    (origin.folder / "app" / "main.py").write_text("print('not yet')\n")
    commit = source.pin("main", "app", None).commit
    source.export(commit, "app", tmp_path / "exported")
    assert (tmp_path / "exported" / "main.py").read_text() == "print(1)\n"


@pytest.mark.parametrize("leads_to", ["../../etc/passwd", "/etc/passwd", "../tests"])
def test_a_link_out_of_the_app_is_refused(source: GitSource, origin: Origin, tmp_path: Path, leads_to: str):
    (origin.folder / "app" / "link").symlink_to(leads_to)
    commit = origin.commit()
    failure = failure_of(source.export, commit, "app", tmp_path / "exported")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_PATH_MISSING
    assert not list(tmp_path.glob("*exported*"))


def test_a_mirror_is_filled_where_there_is_none(origin: Origin, tmp_path: Path):
    """As on another machine than the one that pinned."""
    commit = origin.git("rev-parse", "HEAD")
    GitSource(f"file://{origin.folder}", tmp_path / "other", tmp_path).export(commit, "app", tmp_path / "exported")
    assert (tmp_path / "exported" / "main.py").read_text() == "print(1)\n"


def test_a_folder_that_is_no_repository(tmp_path: Path):
    for source in (
        GitSource(".", tmp_path / "work", tmp_path),
        GitSource(f"file://{tmp_path}/none", tmp_path / "work", tmp_path),
    ):
        failure = failure_of(source.pin, "main", "app", None)
        assert isinstance(failure, Permanent)
        assert failure.reason == Reason.SOURCE_REPOSITORY_UNAVAILABLE


def test_a_server_that_does_not_answer(tmp_path: Path):
    source = GitSource("http://ana:secret@127.0.0.1:9/app.git", tmp_path / "work", tmp_path)
    began = time.monotonic()
    failure = failure_of(source.pin, "main", "app", None)
    assert isinstance(failure, Temporary)
    assert failure.reason == Reason.SOURCE_REPOSITORY_UNAVAILABLE
    assert "secret" not in failure.sentence
    assert time.monotonic() - began < 20
