"""The Dockerfile of an app's image, and the links to its model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightferry.entities.app.contract import AppContract
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.app.dockerfile import dockerfile, write_links
from nightferry.steps.image.request import app_labels

from tests.fakes.a_release import a_decision

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
        ("FROM a AS build\nRUN echo $((1<<20)) <<< word\nFROM b AS final\n", "final"),
        ("FROM a AS build\nRUN python3 -c 'print(1 << 3)'\nFROM b AS final\n", "final"),
        ('FROM a AS build\nRUN ["sh", "-c", "cat <<EOF"]\nFROM b AS final\n', "final"),
        ("FROM a AS build\nRUN <<-'EOF' x\nFROM no\n\tEOF\nFROM b AS final\n", "final"),
        ("FROM a AS build\nRUN x \\\n && cat <<EOF\nFROM no\n  EOF\nFROM no\nEOF\nFROM b AS final\n", "final"),
        ("FROM a AS build\nRUN x \\\n# a comment\n\nFROM no\n", "build"),
        ("FROM a AS build\nFROM b \\\n  AS final\n", "final"),
        ("FROM a AS build\nRUN printf '\u2028FROM b'\n", "build"),
    ],
)
def test_the_last_stage_of_an_own_dockerfile_is_what_is_tested_and_served(root: Path, text: str, stage: str) -> None:
    made = own(root, text)
    assert f"FROM {stage} AS nightferry-test" in made
    assert f"FROM {stage} AS nightferry-serving" in made


@pytest.mark.parametrize("begins", ["# syntax=d/f:1", "  #syntax = d/f:1", "//syntax=d/f:1"])
@pytest.mark.parametrize("before", ["", "\ufeff", "#!/usr/bin/env build\n", "# check=skip=all\n"])
def test_no_other_front_end_reads_an_own_dockerfile(root: Path, begins: str, before: str) -> None:
    assert "syntax" not in own(root, f"{before}{begins}\nFROM a\n")


def test_a_stage_that_gets_a_name_keeps_its_line(root: Path) -> None:
    made = own(root, "FROM a AS build\r\nFROM --platform=linux/amd64 \\\r\n  b\r\nRUN x\r\n").splitlines()
    assert made[1] == "FROM --platform=linux/amd64 b AS nightferry-app"
    assert made[3] == "RUN x"


def test_a_stage_whose_line_is_not_understood_is_refused(root: Path) -> None:
    with pytest.raises(Permanent) as raised:
        own(root, "FROM a AS build\nFROM b AS final # served\n")
    assert "Own, line 2: " in raised.value.sentence


def test_another_escape_character_is_refused(root: Path) -> None:
    with pytest.raises(Permanent) as raised:
        own(root, "# escape=`\nFROM a\n")
    assert "escape" in raised.value.sentence


def test_variables_of_the_app_are_not_taken_for_what_labels_say(root: Path) -> None:
    names = ("SERVICE", "MODEL", "MODEL_SHA256", "SOURCE", "INPUTS")
    contract = AppContract(start=START, environment=dict.fromkeys(names, "mine"))
    asked = [line.partition(" ")[2].partition("=")[0] for line in lines(dockerfile(contract, root, root), "ARG ")]
    # In a Dockerfile a variable wins over an argument of the same name.
    assert not {*asked} & {*names}
    assert {*asked} == {*app_labels(a_decision().candidate)}


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
        ("/model/m.pkl", "m.pkl", ["m.pkl"], {}),
        ("/model/", ".", ["a", "b/c"], {}),
        ("/model/churn.pkl", "m.pkl", ["m.pkl"], {"model/churn.pkl": "/model/m.pkl"}),
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
