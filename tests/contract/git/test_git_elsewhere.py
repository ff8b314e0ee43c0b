"""What a commit only points to: submodules, and the files that Git LFS keeps. It comes, or its absence is named.

git-lfs is no requirement: where it is missing, the tests of fetching with it are left out and those of the refusal run.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from nightferry.clients.git import submodules
from nightferry.clients.git.source import GitSource
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

from tests.fakes.git_origin import Origin, served

CONTENT = b"weights\x00" * 1000


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    repository = Origin(tmp_path / "origin")
    repository.commit({"app/main.py": "print(1)\n"})
    return repository


@pytest.fixture
def library(tmp_path: Path) -> Origin:
    repository = Origin(tmp_path / "library")
    repository.commit({"lib.py": "one\n"})
    return repository


@pytest.fixture(params=["own", "mirrored"])
def source(request: pytest.FixtureRequest, origin: Origin, tmp_path: Path) -> GitSource:
    return GitSource("." if request.param == "own" else origin.address, tmp_path / "work", origin.folder)


def refused(source: GitSource, commit: str, target: Path) -> NightferryError:
    with pytest.raises(NightferryError) as failure:
        source.export(commit, "app", target)
    assert not target.exists()
    return failure.value


# Submodules


@pytest.mark.parametrize("address", ["../library", "file://"])
def test_a_submodule_comes_with_its_pinned_commit(
    source: GitSource, origin: Origin, library: Origin, tmp_path: Path, address: str
):
    origin.git("submodule", "add", "-q", library.address, "app/lib")
    origin.git("config", "-f", ".gitmodules", "submodule.app/lib.url", address.replace("file://", library.address))
    commit = origin.commit()
    library.commit({"lib.py": "two\n"})
    source.export(commit, "app", tmp_path / "out")
    files = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert files == {"main.py", "lib/lib.py"}
    assert (tmp_path / "out" / "lib" / "lib.py").read_text() == "one\n"


def test_a_submodule_in_a_submodule(source: GitSource, origin: Origin, library: Origin, tmp_path: Path):
    deep = Origin(tmp_path / "deep")
    deep.commit({"deep.py": "deep\n"})
    library.git("submodule", "add", "-q", "../deep", "inner")
    library.git("config", "-f", ".gitmodules", "submodule.inner.url", "../deep")
    library.commit()
    origin.git("submodule", "add", "-q", library.address, "app/lib")
    source.export(origin.commit(), "app", tmp_path / "out")
    assert (tmp_path / "out" / "lib" / "inner" / "deep.py").read_text() == "deep\n"


def test_a_submodule_outside_the_app_does_not_matter(
    source: GitSource, origin: Origin, library: Origin, tmp_path: Path
):
    origin.git("submodule", "add", "-q", library.address, "other")
    shutil.rmtree(library.folder)
    source.export(origin.commit(), "app", tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["main.py"]


def test_a_submodule_that_is_gone_is_named(source: GitSource, origin: Origin, library: Origin, tmp_path: Path):
    origin.git("submodule", "add", "-q", library.address, "app/lib")
    commit = origin.commit()
    shutil.rmtree(library.folder)
    failure = refused(source, commit, tmp_path / "out")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_INCOMPLETE
    assert "app/lib" in failure.sentence


def test_a_submodule_whose_commit_was_never_pushed_is_named(
    source: GitSource, origin: Origin, library: Origin, tmp_path: Path
):
    origin.git("submodule", "add", "-q", library.address, "app/lib")
    origin.git("-C", str(origin.folder / "app" / "lib"), "commit", "-q", "--allow-empty", "-m", "mine")
    failure = refused(source, origin.commit(), tmp_path / "out")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_INCOMPLETE
    assert "app/lib" in failure.sentence


def test_a_submodule_without_an_address_is_named(source: GitSource, origin: Origin, library: Origin, tmp_path: Path):
    origin.git("submodule", "add", "-q", library.address, "app/lib")
    origin.git("rm", "-q", "--cached", ".gitmodules")
    (origin.folder / ".gitmodules").unlink()
    failure = refused(source, origin.commit(), tmp_path / "out")
    assert failure.reason == Reason.SOURCE_INCOMPLETE
    assert "app/lib" in failure.sentence


def test_a_submodule_whose_server_does_not_answer_is_tried_again(
    source: GitSource, origin: Origin, library: Origin, tmp_path: Path
):
    origin.git("submodule", "add", "-q", library.address, "app/lib")
    origin.git("config", "-f", ".gitmodules", "submodule.app/lib.url", "http://ana:secret@127.0.0.1:9/lib.git")
    failure = refused(source, origin.commit(), tmp_path / "out")
    assert isinstance(failure, Temporary)
    assert failure.reason == Reason.SOURCE_REPOSITORY_UNAVAILABLE
    assert "app/lib" in failure.sentence
    assert "secret" not in failure.sentence


def test_a_submodule_does_not_reach_the_files_of_this_machine(origin: Origin, library: Origin, tmp_path: Path):
    """Who commits must not get at what Airflow can read; not even at what another service has mirrored already."""
    origin.git("submodule", "add", "-q", library.address, "app/lib")
    commit = origin.commit()
    GitSource(library.address, tmp_path / "work", tmp_path).pin("main", ".", None)
    with served(tmp_path) as server:
        failure = refused(GitSource(f"{server}/origin/.git", tmp_path / "work", tmp_path), commit, tmp_path / "out")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_INCOMPLETE
    assert "app/lib" in failure.sentence


@pytest.mark.parametrize(
    ("written", "base", "meant"),
    [
        ("../lib.git", "https://git.example.org/team/app.git", "https://git.example.org/team/lib.git"),
        ("../../x/lib.git", "https://git.example.org/team/app.git/", "https://git.example.org/x/lib.git"),
        ("./lib", "/srv/app", "/srv/app/lib"),
        ("../lib.git", "git@git.example.org:team/app.git", "git@git.example.org:team/lib.git"),
        ("../lib.git", "git@git.example.org:app.git", "git@git.example.org:lib.git"),
        ("git@git.example.org:lib.git", "/srv/app", "git@git.example.org:lib.git"),
    ],
)
def test_where_a_relative_address_leads(written: str, base: str, meant: str):
    assert submodules.absolute(written, base) == meant


# Git LFS


def pointer(content: bytes) -> str:
    return (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{hashlib.sha256(content).hexdigest()}\nsize {len(content)}\n"
    )


def keep(repository: Path, content: bytes, kept: bytes | None = None) -> None:
    """Put content where git-lfs keeps it: in a repository on this machine, which is an LFS server too."""
    name = hashlib.sha256(content).hexdigest()
    file = repository / "lfs" / "objects" / name[:2] / name[2:4] / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content if kept is None else kept)


def test_files_that_were_fetched_before_need_no_git_lfs(origin: Origin, tmp_path: Path):
    """As in the project's own checkout, where `git lfs pull` ran."""
    origin.write({"app/weights.bin": pointer(CONTENT)})
    (origin.folder / "app" / "weights.bin").chmod(0o755)
    commit = origin.commit()
    keep(origin.folder / ".git", CONTENT)
    GitSource(".", tmp_path / "work", origin.folder).export(commit, "app", tmp_path / "out")
    assert (tmp_path / "out" / "weights.bin").read_bytes() == CONTENT
    assert (tmp_path / "out" / "weights.bin").stat().st_mode & 0o777 == 0o755


def test_a_file_that_is_kept_with_other_content_is_refused(origin: Origin, tmp_path: Path):
    commit = origin.commit({"app/weights.bin": pointer(CONTENT)})
    keep(origin.folder / ".git", CONTENT, kept=CONTENT[::-1])
    failure = refused(GitSource(".", tmp_path / "work", origin.folder), commit, tmp_path / "out")
    assert failure.reason == Reason.SOURCE_INCOMPLETE
    assert "weights.bin" in failure.sentence


def test_without_git_lfs_its_files_are_named(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    commit = origin.commit({"app/weights.bin": pointer(CONTENT), "app/more.bin": pointer(b"more")})
    keep(origin.folder / ".git", CONTENT)
    broken = tmp_path / "bin" / "git-lfs"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:/usr/bin:/bin")
    failure = refused(GitSource(origin.address, tmp_path / "work", tmp_path), commit, tmp_path / "out")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_INCOMPLETE
    assert all(word in failure.sentence for word in ("app/weights.bin", "app/more.bin", "git-lfs is not installed"))


@pytest.mark.parametrize(
    "content",
    [
        b"version https://git-lfs.github.com/spec/v1\n",
        pointer(CONTENT).encode() + b"# an example of a pointer\n",
        pointer(CONTENT).replace("sha256", "md5").encode(),
    ],
)
def test_what_is_no_pointer_is_written_as_it_is(source: GitSource, origin: Origin, tmp_path: Path, content: bytes):
    source.export(origin.commit({"app/text": content}), "app", tmp_path / "out")
    assert (tmp_path / "out" / "text").read_bytes() == content


@pytest.mark.skipif(not shutil.which("git-lfs"), reason="git-lfs is not installed here; its absence is tested above")
class TestWithGitLfs:
    def test_files_come_from_the_server(self, origin: Origin, tmp_path: Path):
        names = ["app/weights.bin", "app/with space [1].bin"]
        commit = origin.commit(
            {name: pointer(CONTENT) for name in names} | {"data/other.bin": pointer(b"never pushed")}
        )
        keep(origin.folder / ".git", CONTENT)
        GitSource(origin.address, tmp_path / "work", tmp_path).export(commit, "app", tmp_path / "out")
        assert [(tmp_path / "out" / Path(name).name).read_bytes() for name in names] == [CONTENT, CONTENT]

    def test_files_of_the_whole_repository(self, origin: Origin, tmp_path: Path):
        commit = origin.commit({"weights.bin": pointer(CONTENT)})
        keep(origin.folder / ".git", CONTENT)
        GitSource(origin.address, tmp_path / "work", tmp_path).export(commit, ".", tmp_path / "out")
        assert (tmp_path / "out" / "weights.bin").read_bytes() == CONTENT

    def test_files_of_a_submodule(self, origin: Origin, library: Origin, tmp_path: Path):
        library.commit({"weights.bin": pointer(CONTENT)})
        keep(library.folder / ".git", CONTENT)
        origin.git("-c", "filter.lfs.required=false", "submodule", "add", "-q", library.address, "app/lib")
        GitSource(origin.address, tmp_path / "work", tmp_path).export(origin.commit(), "app", tmp_path / "out")
        assert (tmp_path / "out" / "lib" / "weights.bin").read_bytes() == CONTENT

    def test_a_file_that_was_never_pushed_is_named(self, origin: Origin, tmp_path: Path):
        commit = origin.commit({"app/weights.bin": pointer(CONTENT)})
        failure = refused(GitSource(origin.address, tmp_path / "work", tmp_path), commit, tmp_path / "out")
        assert isinstance(failure, Permanent)
        assert failure.reason == Reason.SOURCE_INCOMPLETE
        assert "weights.bin" in failure.sentence

    @pytest.mark.parametrize(
        ("status", "kind", "reason"),
        [
            (404, Permanent, Reason.SOURCE_INCOMPLETE),
            (403, Permanent, Reason.SOURCE_INCOMPLETE),
            (503, Temporary, Reason.SOURCE_REPOSITORY_UNAVAILABLE),
            (None, Temporary, Reason.SOURCE_REPOSITORY_UNAVAILABLE),
        ],
    )
    def test_a_server_of_its_own_that_does_not_give_them(
        self, origin: Origin, tmp_path: Path, status: int | None, kind: type, reason: Reason
    ):
        with served(tmp_path, status=status) as server:
            host = server.removeprefix("http://") if status else "127.0.0.1:9"
            lfs = f"[lfs]\n\turl = http://ana:secret@{host}/lfs\n"
            commit = origin.commit({"app/weights.bin": pointer(CONTENT), ".lfsconfig": lfs})
            failure = refused(GitSource(origin.address, tmp_path / "work", tmp_path), commit, tmp_path / "out")
        assert (type(failure), failure.reason) == (kind, reason)
        assert "secret" not in failure.sentence
