"""Which spellings of an address are one repository."""

from __future__ import annotations

import pytest
from nightferry.entities.service_file.git_address import repository_identity


@pytest.mark.parametrize(
    "spellings",
    [
        (
            "https://git.example/team/app",
            "https://git.example/team/app.git",
            "https://git.example/team/app/",
            "https://git.example/team//app.git/",
            "https://GIT.example:443/team/app.git",
            "HTTPS://ana@git.example./team/app",
            "https://git.example/team/%61pp.git",
        ),
        (
            "git@git.example:team/app.git",
            "ssh://git@git.example/team/app",
            "ssh://git@git.example:22/team/app.git/",
            "git@GIT.example:/team/app",
        ),
        ("ana@host:app", "ana@host:app.git/"),
        ("git://git.example/app", "git://git.example:9418/app.git"),
        ("/srv/app.git", "file:///srv/app.git", "/srv//app.git/"),
        ("ssh://git@[::1]/team/app", "git@[::1]:team/app"),
        ("https://org@dev.azure.com/org/p/_git/app", "https://dev.azure.com/org/p/_git/app"),
    ],
)
def test_one_repository(spellings: tuple[str, ...]) -> None:
    assert len({repository_identity(one) for one in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://git.example/team/app", "ssh://git@git.example/team/app"),
        ("https://git.example/team/app", "https://git.example/team/App"),
        ("https://git.example/team/app", "https://git.example:8443/team/app"),
        ("https://git.example/team/app", "http://git.example/team/app"),
        ("/srv/app.git", "/srv/app"),
        ("ana@host:app", "eva@host:app"),
        ("ana@host:app", "ssh://ana@host/app"),
        ("ana@host:app", "git@host:app"),
        (".", "/srv/app"),
    ],
)
def test_two_repositories(one: str, other: str) -> None:
    assert repository_identity(one) != repository_identity(other)
