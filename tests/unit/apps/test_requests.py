"""What BuildKit is asked for an app: which folders it is given, under which names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.entities.app.contract import AppContract
from nightferry.steps.app.recipe import APP_RECIPE
from nightferry.steps.image.request import app_request
from nightferry.steps.image.test_source import needs_model

OWN = "FROM a AS app\nFROM b AS tests\nFROM c AS links\nFROM d AS lock\nFROM app AS last\nCOPY --from=model . /m\n"


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """The folder that a request is made in, and the project."""
    recipe = tmp_path / APP_RECIPE[0]
    recipe.parent.mkdir(parents=True)
    recipe.write_text("FROM scratch AS lock\nFROM base AS runtime\n")
    for name in ("app", "tests", "model", "work/lock"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def request(asked: Path, text: str | None = None) -> BuildRequest:
    contract = AppContract(dockerfile="Own" if text else None, start=("x",))
    (asked / "app" / "Own").write_text(text or "")
    contexts = {name: asked / name for name in ("app", "tests", "model")}
    return app_request(contract, "base", contexts, asked / "work", asked, "", ())


def stages(made: BuildRequest) -> set[str]:
    return set(re.findall(r"^FROM .* AS (\S+)$", made.dockerfile.read_text(), re.MULTILINE))


def test_no_stage_of_an_own_dockerfile_is_hidden(asked: Path) -> None:
    """A named context takes the place of a stage that has its name."""
    made = request(asked, OWN)
    assert stages(made) & made.contexts.keys() == set()
    assert made.contexts["model"] == asked / "model"
    assert made.context == asked / "app"


@pytest.mark.parametrize("name", ["model", "Model"])
def test_a_stage_called_model_is_the_apps_own(asked: Path, name: str) -> None:
    assert "model" not in request(asked, f"FROM a AS {name}\nFROM b\nCOPY --from=model /x /x\n").contexts


@pytest.mark.parametrize("text", [None, OWN])
def test_what_our_stages_copy_from_is_given(asked: Path, text: str | None) -> None:
    made = request(asked, text)
    wanted = set(re.findall(r"--from=(\S+)", made.dockerfile.read_text())) - stages(made) - {"test-packages"}
    assert wanted <= made.contexts.keys()
    assert len(wanted) >= 3


def test_tests_of_an_own_dockerfile_get_what_it_may_copy() -> None:
    assert needs_model(AppContract(dockerfile="Own"))
    assert needs_model(AppContract(tests_need_model=True))
    assert not needs_model(AppContract())
    assert not needs_model(None)
