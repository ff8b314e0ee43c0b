"""Image repositories: ours, and a real Docker engine's word on the same ones."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from nightferry import settings
from nightferry.entities.service_file.image_repository import ImageRepository

from tests.fakes.image_names import NEITHER, OURS_ALONE, REPOSITORIES

Judge = Callable[[str], bool]


def ours(name: str) -> bool:
    try:
        ImageRepository.parse(name)
    except ValueError:
        return False
    return True


@pytest.fixture
def engine() -> Judge:
    """An import that fails either way and leaves nothing: at the name, or at the change after it."""
    import docker

    client = docker.DockerClient(base_url=settings.load().require("DOCKER_HOST"), version="auto").api

    def judge(name: str) -> bool:
        query = urlencode({"fromSrc": "-", "repo": name, "tag": "x", "changes": "NONSENSE"})
        answer = client.post(f"{client.base_url}/images/create?{query}", data=b"")
        assert answer.status_code >= 400, answer.text
        return "nonsense" in answer.text.lower()

    return judge


@pytest.fixture(params=["ours", pytest.param("engine", marks=pytest.mark.sandbox)])
def judge(request: pytest.FixtureRequest) -> Judge:
    return ours if request.param == "ours" else request.getfixturevalue("engine")


def test_what_is_right_for_both(judge: Judge) -> None:
    assert [name for name in REPOSITORIES if not judge(name)] == []


def test_what_both_refuse(judge: Judge) -> None:
    assert [name for name in NEITHER if judge(name)] == []


@pytest.mark.parametrize(("name", "why"), OURS_ALONE.items())
def test_what_nightferry_cannot_release_to(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ImageRepository.parse(name)


def test_registry_and_path() -> None:
    found = ImageRepository.parse("127.0.0.1:5000/team/digits")
    assert (found.registry, found.path, str(found)) == ("127.0.0.1:5000", "team/digits", "127.0.0.1:5000/team/digits")
