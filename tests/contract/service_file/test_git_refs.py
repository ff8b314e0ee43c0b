"""Names of branches and tags: ours, and git's own word on the same ones."""

from __future__ import annotations

import subprocess

import pytest
from nightferry.entities.service_file.git_ref import check_git_ref

GOOD = (
    "main",
    "HEAD",
    "release/2026-11",
    "v1.0.0",
    "a@b",
    "@x",
    "x@",
    "é",
    "a-",
    "a" * 200,
    "0" * 40,
    "lock",
    "a.lockx",
)
BAD = (
    *("", "@", "a b", "a..b", "a~1", "main^", "main:app", "a?", "a*", "a[b", "a\\b", "a@{1}", "/a", "a/", "a//b", "a."),
    *(".a", "a/.b", "a.lock", "a.lock/b", "a\nb", "a\tb", "a\x7fb", "-a"),
)


def ours(name: str) -> bool:
    try:
        check_git_ref(name)
    except ValueError:
        return False
    return True


def gits(name: str) -> bool:
    """A branch's name: with it, git refuses a dash at the beginning too, which would be read as an option."""
    words = ["git", "check-ref-format", f"refs/heads/{name}"]
    return not name.startswith("-") and subprocess.run(words, capture_output=True).returncode == 0


@pytest.mark.parametrize("name", GOOD)
def test_what_both_take(name: str) -> None:
    assert ours(name)
    assert gits(name)


@pytest.mark.parametrize("name", [name for name in BAD if name != "@"])
def test_what_both_refuse(name: str) -> None:
    assert not ours(name)
    assert not gits(name)


def test_a_lone_at_sign_means_head_and_is_refused() -> None:
    assert not ours("@")
