"""What a look sees of real git repositories."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from nightferry.clients.git import mirror
from nightferry.clients.git.watched import WatchedGit
from nightferry.errors import NightferryError, Permanent

from tests.fakes.git_origin import Origin, served
from tests.fakes.still_clock import StillClock


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    origin = Origin(tmp_path / "origin")
    origin.commit({"app/app.py": "1", "other/app.py": "1"})
    return origin


@pytest.fixture(params=["file", "http", "own"])
def watched(request: pytest.FixtureRequest, origin: Origin, tmp_path: Path) -> object:
    if request.param == "own":
        yield WatchedGit(".", tmp_path / "work", origin.folder, StillClock())
    elif request.param == "file":
        yield WatchedGit(origin.address, tmp_path / "work", tmp_path, StillClock())
    else:
        with served(tmp_path) as address:
            yield WatchedGit(f"{address}/origin/.git", tmp_path / "work", tmp_path, StillClock())


def test_heads_of_branches_tags_and_head(watched: WatchedGit, origin: Origin) -> None:
    first = origin.head
    origin.git("tag", "-a", "v1", "-m", "one")
    origin.git("tag", "main-tag")
    second = origin.commit({"app/app.py": "2"})
    heads = watched.heads(["main", "v1", "main-tag", "HEAD", "gone", "a" * 40])
    assert heads == {"main": second, "v1": first, "main-tag": first, "HEAD": second}


def test_a_folders_tree_stays_where_another_folder_changes(watched: WatchedGit, origin: Origin) -> None:
    before = watched.trees("main", origin.head, ["app", "other", "none", "."])
    origin.commit({"other/app.py": "2"})
    after = watched.trees("main", watched.heads(["main"])["main"], ["app", "other", "none", "."])
    assert before.trees.keys() == {"app", "other", "."}
    assert after.trees["app"] == before.trees["app"] == origin.git("rev-parse", "HEAD:app")
    assert after.trees["other"] != before.trees["other"]
    assert (after.commit, after.author) == (origin.head, "ana")


def test_a_branch_that_moved_on_since_it_was_named(watched: WatchedGit, origin: Origin) -> None:
    named = watched.heads(["main"])["main"]
    origin.commit({"app/app.py": "2"})
    seen = watched.trees("main", named, ["app"])
    assert seen.commit in (named, origin.head)
    assert seen.trees["app"] == origin.git("rev-parse", f"{seen.commit}:app")


def test_more_names_than_are_said_to_a_server(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_MOST_NAMED", 3)
    watched = WatchedGit(origin.address, tmp_path / "work", tmp_path, StillClock())
    origin.git("tag", "-a", "v1", "-m", "one")
    assert watched.heads(["main", "v1", "HEAD"]) == dict.fromkeys(["main", "v1", "HEAD"], origin.head)


def test_a_thousand_folders_are_one_call_of_git(watched: WatchedGit, origin: Origin) -> None:
    origin.commit({f"s{number}/app.py": str(number) for number in range(1000)})
    folders = [f"s{number}" for number in range(1000)]
    began = time.monotonic()
    seen = watched.trees("main", watched.heads(["main"])["main"], folders)
    assert len(set(seen.trees.values())) == 1000
    assert time.monotonic() - began < 30


def test_a_repository_that_is_not_there(tmp_path: Path) -> None:
    watched = WatchedGit(f"file://{tmp_path}/none", tmp_path / "work", tmp_path, StillClock())
    with pytest.raises(NightferryError):
        watched.heads(["main"])


def test_a_branch_that_is_gone(watched: WatchedGit, origin: Origin) -> None:
    with pytest.raises(Permanent):
        watched.trees("gone", "a" * 40, ["app"])
