"""Service files: what is right is loaded, what is wrong is said plainly and does not hinder the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.settings import project_root
from nightferry.steps.services.load_services import load_service, load_services

from tests.fakes.service_specs import digits_content

ENVIRONMENT = {"NIGHTFERRY_REGISTRY": "127.0.0.1:5000"}


def write(folder: Path, name: str = "digits", **changes: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(digits_content(**changes)), encoding="utf-8")
    return path


def problem_of(folder: Path) -> tuple[Reason, str]:
    loaded = load_services(folder, ENVIRONMENT)
    assert loaded.specs == {}
    (problem,) = loaded.problems
    return problem.reason, problem.sentence


def test_a_service_is_loaded_with_its_file(tmp_path: Path):
    path = write(tmp_path)
    loaded = load_services(tmp_path, ENVIRONMENT)
    assert loaded.problems == []
    spec, found = loaded.specs["digits"]
    assert (spec.service, found) == ("digits", path)


def test_the_projects_own_service_files_are_right():
    loaded = load_services(project_root() / "dags" / "services", ENVIRONMENT)
    assert loaded.problems == []
    assert loaded.specs["digits"][0].image.repository == "127.0.0.1:5000/digits"


def test_variables_are_filled_in_everywhere(tmp_path: Path):
    write(
        tmp_path,
        description="${NIGHTFERRY_A} and ${NIGHTFERRY_B}",
        environments=[{"name": "production", "namespace": "${NIGHTFERRY_A}"}],
    )
    spec = load_service(tmp_path, {"NIGHTFERRY_A": "a", "NIGHTFERRY_B": "b"}, "digits")
    assert (spec.description, spec.environments[0].namespace) == ("a and b", "a")


def test_a_variable_is_a_value_never_yaml(tmp_path: Path):
    write(tmp_path, description="${NIGHTFERRY_A}")
    assert load_service(tmp_path, {"NIGHTFERRY_A": "x\nowner: eva"}, "digits").description == "x\nowner: eva"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ownr": "me"}, "ownr: unknown key"),
        ({"gates": {"top 1": ">= 1"}}, "gates.top 1: "),
        ({"gates": {"loss": "=< 1"}}, "gates.loss: a threshold is written like"),
        ({"schedule": {"cron": "0 2 * *"}}, "schedule.cron: "),
        ({"schedule": {"cron": "61 2 * * *"}}, "schedule.cron: "),
        ({"schedule": {"cron": "0 2 * * *", "timezone": "Europe/Zurch"}}, "schedule.timezone: unknown time zone"),
        ({"gates": {"accuracy": "0.95"}}, "gates.accuracy: a threshold is written like"),
        ({"gates": {"accuracy": ">= high"}}, "gates.accuracy: "),
        ({"service": "Digits"}, "service: "),
        ({"environments": []}, "environments: "),
        ({"environments": [{"name": "production", "namespace": "p", "replicas": 0}]}, "environments.0.replicas: "),
        ({"environments": [{"name": "test", "namespace": "p"}]}, "environments.0.name: "),
        ({"model": {"repository": "s3://models"}}, "model.repository: "),
        ({"source": {"path": "../other"}}, "source.path: "),
        ({"image": {"repository": "${NIGHTFERRY_NOWHERE}/x"}}, "image.repository: NIGHTFERRY_NOWHERE is not set"),
        ({"image": {"repository": "${HOME}/x"}}, "image.repository: only ${NIGHTFERRY_…}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], named: str):
    path = write(tmp_path, **changes)
    reason, sentence = problem_of(tmp_path)
    assert reason == Reason.SERVICE_FILE_INVALID
    assert str(path) in sentence
    assert named in sentence


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"service: digits\nowner: [a\n", "line 3: "),
        (b"service: digits\n\tx: 1\n", "line 2: "),
        (b"service: digits\nowner: a\nowner: b\n", "line 3: the key 'owner' is given twice"),
        (b"service: !!python/object/apply:os.system [id]\n", "line 1: "),
        (b"- service\n", "`key: value`"),
        (b"", "`key: value`"),
        (b"owner: \xff\n", "UTF-8"),
    ],
)
def test_what_is_not_yaml_is_named_with_its_line(tmp_path: Path, content: bytes, named: str):
    (tmp_path / "digits.yaml").write_bytes(content)
    reason, sentence = problem_of(tmp_path)
    assert reason == Reason.SERVICE_FILE_INVALID
    assert named in sentence


def test_a_missing_key_is_named(tmp_path: Path):
    content = digits_content()
    del content["owner"], content["model"]
    (tmp_path / "digits.yaml").write_text(yaml.safe_dump(content))
    sentence = problem_of(tmp_path)[1]
    assert "owner: " in sentence
    assert "model: " in sentence


def test_two_files_with_one_name_are_both_refused(tmp_path: Path):
    one, two = write(tmp_path, "one"), write(tmp_path, "two")
    write(tmp_path, "letters", service="letters")
    loaded = load_services(tmp_path, ENVIRONMENT)
    assert list(loaded.specs) == ["letters"]
    assert [problem.reason for problem in loaded.problems] == [Reason.SERVICE_DUPLICATED] * 2
    for problem in loaded.problems:
        assert str(one) in problem.sentence
        assert str(two) in problem.sentence


def test_a_wrong_file_does_not_hinder_the_others(tmp_path: Path):
    write(tmp_path, "digits", ownr="me")
    write(tmp_path, "letters", service="letters")
    loaded = load_services(tmp_path, ENVIRONMENT)
    assert list(loaded.specs) == ["letters"]
    assert len(loaded.problems) == 1


def test_one_service_that_is_wrong(tmp_path: Path):
    write(tmp_path, "some-file", ownr="me")
    with pytest.raises(Permanent) as failure:
        load_service(tmp_path, ENVIRONMENT, "digits")
    assert failure.value.reason == Reason.SERVICE_FILE_INVALID


def test_an_unknown_service(tmp_path: Path):
    write(tmp_path)
    with pytest.raises(Permanent) as failure:
        load_service(tmp_path, ENVIRONMENT, "digit")
    assert failure.value.reason == Reason.SERVICE_UNKNOWN
    assert "digits" in failure.value.sentence


def test_no_folder_holds_no_service(tmp_path: Path):
    assert load_services(tmp_path / "none", ENVIRONMENT).specs == {}


def test_several_folders_are_one(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    write(one)
    write(two, "letters", service="letters")
    assert list(load_services((one, two, tmp_path / "none"), ENVIRONMENT).specs) == ["digits", "letters"]
    write(two, "more-digits")
    loaded = load_services((one, two), ENVIRONMENT)
    assert list(loaded.specs) == ["letters"]
    assert {problem.reason for problem in loaded.problems} == {Reason.SERVICE_DUPLICATED}
