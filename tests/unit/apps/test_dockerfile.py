"""The Dockerfile of an app's image, and the links to its model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightferry.entities.app.contract import AppContract
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.app.dockerfile import dockerfile, write_links

START = ("granian", "--port", "8080", "app:app")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a recipe."""
    place = tmp_path / "docker" / "app" / "Dockerfile"
    place.parent.mkdir(parents=True)
    place.write_text("FROM base AS runtime\n")
    return tmp_path


def own(root: Path, text: str, **contract: object) -> str:
    (root / "Own").write_text(text)
    return dockerfile(AppContract(dockerfile="Own", **contract), root, root)


def lines(text: str, beginning: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(beginning)]


def test_the_command_is_run_without_a_shell(root: Path) -> None:
    text = dockerfile(AppContract(start=START), root, root)
    assert [json.loads(line.partition(" ")[2]) for line in lines(text, "ENTRYPOINT")] == [list(START)]
    assert lines(text, "USER") == ["USER 65532:65532"]


def test_values_of_variables_are_taken_as_they_are_written(root: Path) -> None:
    contract = AppContract(start=START, environment={"A": 'say "$HOME" \\ twice'})
    assert 'ENV A="say \\"\\$HOME\\" \\\\ twice"' in lines(dockerfile(contract, root, root), "ENV A")


def test_unit_tests_reach_no_network_and_know_no_model_unless_they_need_one(root: Path) -> None:
    plain = dockerfile(AppContract(start=START), root, root)
    stage = plain.partition("AS nightferry-test")[2].partition("AS nightferry-serving")[0]
    assert "RUN --network=none" in stage
    assert "from=model" not in stage
    needing = dockerfile(AppContract(start=START, tests_need_model=True, test=("make", "test")), root, root)
    stage = needing.partition("AS nightferry-test")[2].partition("AS nightferry-serving")[0]
    assert "from=model" in stage
    assert '["make", "test"]' in stage


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("FROM a\nRUN x\n", "nightferry-app"),
        ("FROM a AS build\nFROM --platform=linux/amd64 b as final\n", "final"),
        ("from a\n", "nightferry-app"),
        ("FROM a AS build\nRUN <<EOF\nFROM not a stage\nEOF\nCOPY --from=build x y\n", "build"),
        ("FROM a AS build\nRUN echo \\\nFROM b\n", "build"),
        ("FROM a AS build\n# FROM b\n", "build"),
    ],
)
def test_the_last_stage_of_an_own_dockerfile_is_what_is_tested_and_served(root: Path, text: str, stage: str) -> None:
    made = own(root, text)
    assert f"FROM {stage} AS nightferry-test" in made
    assert f"FROM {stage} AS nightferry-serving" in made


def test_no_other_front_end_reads_an_own_dockerfile(root: Path) -> None:
    assert "syntax" not in own(root, "# syntax=docker/dockerfile:1\nFROM a\n")


def test_a_dockerfile_without_a_stage_is_refused(root: Path) -> None:
    with pytest.raises(Permanent) as raised:
        own(root, "RUN x\n")
    assert raised.value.reason is Reason.APP_CONTRACT_INVALID
    assert "Own has no FROM line" in raised.value.sentence


def test_a_missing_recipe_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(Permanent) as raised:
        dockerfile(AppContract(start=START), tmp_path, tmp_path)
    assert raised.value.reason is Reason.SETTING_MISSING


@pytest.mark.parametrize(
    ("at", "model", "files", "links"),
    [
        ("models/churn.joblib", "model.joblib", ["model.joblib"], {"app/models/churn.joblib": "/model/model.joblib"}),
        ("../m.pkl", "model.pkl", ["model.pkl"], {"m.pkl": "/model/model.pkl"}),
        ("/data/m.pkl", "a/m.pkl", ["a/m.pkl", "b.txt"], {"data/m.pkl": "/model/a/m.pkl"}),
        ("models/", "model.joblib", ["model.joblib"], {"app/models/model.joblib": "/model/model.joblib"}),
        (
            "models",
            "net",
            ["net/a.bin", "net/b/c.bin", "x"],
            {"app/models/a.bin": "/model/net/a.bin", "app/models/b/c.bin": "/model/net/b/c.bin"},
        ),
        ("models", ".", ["a", "b/c"], {"app/models/a": "/model/a", "app/models/b/c": "/model/b/c"}),
        ("models", "", ["a", "b/c"], {"app/models/a": "/model/a", "app/models/b/c": "/model/b/c"}),
        (None, "m", ["m"], {}),
    ],
)
def test_the_model_is_where_the_app_opens_it(
    tmp_path: Path, at: str | None, model: str, files: list[str], links: dict[str, str]
) -> None:
    write_links(AppContract(model_at=at), model, tuple(files), tmp_path)
    found = {
        path.relative_to(tmp_path).as_posix(): str(path.readlink()) for path in tmp_path.rglob("*") if path.is_symlink()
    }
    assert found == links
