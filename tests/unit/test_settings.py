"""Settings: what the user gives goes before what the sandbox chose, and a bad value is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from nightferry import settings
from nightferry.cli import main
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.settings import Settings, variable
from pydantic import ValidationError


def sandbox(home: Path, **values: object) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "sandbox.json").write_text(json.dumps({"settings": values}))


def refused(home: Path, **given: str) -> str:
    """The sentence that says which setting is wrong."""
    with pytest.raises(Permanent) as failure:
        Settings(home, home, given)
    assert failure.value.reason == Reason.SETTING_INVALID
    return failure.value.sentence


def test_the_environment_goes_before_the_sandbox_before_the_default(tmp_path: Path):
    sandbox(tmp_path, NIGHTFERRY_LEDGER="sandbox", NIGHTFERRY_BUILDCTL="sandbox")
    given = Settings(tmp_path, tmp_path, {"NIGHTFERRY_LEDGER": "mine", "NIGHTFERRY_BUILDCTL": ""})
    assert (given.ledger, given.buildctl, given.deployer_namespace) == ("mine", "sandbox", "nightferry")
    assert [given.get(name) for name in ("LEDGER", "BUILDCTL", "DEPLOYER_NAMESPACE")] == ["mine", "sandbox", None]


def test_only_what_the_user_gave_is_the_users_own(tmp_path: Path):
    sandbox(tmp_path, NIGHTFERRY_REGISTRY="sandbox")
    given = Settings(tmp_path, tmp_path, {"NIGHTFERRY_BUILDKIT": "mine"})
    assert (given.own("REGISTRY"), given.own("BUILDKIT")) == (None, "mine")


def test_a_service_file_may_name_all_that_is_known(tmp_path: Path):
    sandbox(tmp_path, NIGHTFERRY_A="sandbox", NIGHTFERRY_B="sandbox", NIGHTFERRY_C=7)
    given = Settings(tmp_path, tmp_path, {"NIGHTFERRY_A": "mine", "NIGHTFERRY_B": ""})
    assert given.expandable == {"NIGHTFERRY_A": "mine", "NIGHTFERRY_B": "sandbox"}


def test_a_missing_setting_is_named(tmp_path: Path):
    with pytest.raises(Permanent) as failure:
        Settings(tmp_path, tmp_path, {}).require("REGISTRY")
    assert failure.value.reason == Reason.SETTING_MISSING
    assert "NIGHTFERRY_REGISTRY" in failure.value.sentence


@pytest.mark.parametrize("ask", [Settings.get, Settings.own, Settings.require])
def test_what_is_no_setting_cannot_be_asked_for(tmp_path: Path, ask):
    """What the code reads is what the runbook lists."""
    with pytest.raises(KeyError):
        ask(Settings(tmp_path, tmp_path, {"NIGHTFERRY_LEGDER": "ledger"}), "LEGDER")


@pytest.mark.parametrize("written", ["", "[]", '{"settings": 3}', "{}", '{"settings": {"NIGHTFERRY_LEDGER": 3}}'])
def test_a_broken_sandbox_file_says_nothing(tmp_path: Path, written: str):
    (tmp_path / "sandbox.json").write_text(written)
    given = Settings(tmp_path, tmp_path, {})
    assert (given.get("LEDGER"), given.ledger) == (None, "ledger")


def test_ambient_variables_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    monkeypatch.setenv("DEPLOYERS", "7")
    monkeypatch.setenv("NIGHTFERRY_A", "mine")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("NIGHTFERRY_DEPLOYERS=9\n")
    loaded = settings.load()
    assert set(loaded.environment) == {"NIGHTFERRY_A", "NIGHTFERRY_HOME"}
    assert (loaded.kubeconfig, loaded.deployers) == (None, 4)


def test_service_files_stand_in_the_project_and_in_the_state_folder(tmp_path: Path):
    assert Settings(tmp_path / "root", tmp_path / "home", {}).services_folders == (
        tmp_path / "root" / "dags" / "services",
        tmp_path / "home" / "services",
    )
    given = Settings(tmp_path, tmp_path, {"NIGHTFERRY_SERVICES": "/a:/b"})
    assert given.services_folders == (Path("/a"), Path("/b"))


def test_kubeconfigs_are_known_by_their_connections(tmp_path: Path):
    given = Settings(tmp_path, tmp_path, {"NIGHTFERRY_KUBECONFIGS": "eu=/a.yaml: us=/b.yaml:"})
    assert given.kubeconfigs == {"eu": Path("/a.yaml"), "us": Path("/b.yaml")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_SECONDS", "abc"),
        ("GIT_SECONDS", "0"),
        ("GIT_SECONDS", "-1"),
        ("GIT_SECONDS", "nan"),
        ("GIT_SECONDS", "inf"),
        ("DEPLOYERS", "0"),
        ("DEPLOYERS", "2.5"),
        ("DEPLOYERS", "many"),
        ("SERVICE_TYPE", "ExternalName"),
        ("LEDGER", "Led_ger"),
        ("LEDGER", "l" * 58),
        ("DEPLOYER_NAMESPACE", "Nightferry"),
        ("KUBECONFIGS", "/home/me/eu.yaml"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_one_sentence(tmp_path: Path, name: str, value: str):
    sentence = refused(tmp_path, **{f"NIGHTFERRY_{name}": value})
    assert sentence.startswith(f"NIGHTFERRY_{name} is {value!r}: it should ")
    assert "\n" not in sentence


def test_a_value_that_cannot_be_in_the_sandboxs_file_is_refused_with_the_file(tmp_path: Path):
    sandbox(tmp_path, NIGHTFERRY_DEPLOYERS="0")
    assert str(tmp_path / "sandbox.json") in refused(tmp_path)
    assert Settings(tmp_path, tmp_path, {"NIGHTFERRY_DEPLOYERS": "3"}).deployers == 3


def test_a_secret_in_a_value_that_cannot_be_is_masked(tmp_path: Path):
    assert "hunter2hunter2" not in refused(tmp_path, NIGHTFERRY_LEDGER="https://me:hunter2hunter2@host/ledger")


def test_a_command_says_it_without_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("NIGHTFERRY_DEPLOYERS", "0")
    assert main(["services", "check"]) == 2
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "nightferry: NIGHTFERRY_DEPLOYERS is '0': it should be greater than or equal to 1. Without it, 4 is taken. "
        "Set it right, or leave it out. [setting_invalid]"
    ]


def test_the_deployer_says_it_without_a_traceback(tmp_path: Path):
    command = ["retire", "--namespace", "staging", "--service", "digits", "--reach", "dns"]
    ended = subprocess.run(
        [sys.executable, "-m", "nightferry.deployer", *command],
        env={"PYTHONPATH": ":".join(sys.path), "NIGHTFERRY_GIT_SECONDS": "abc", "NIGHTFERRY_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "NIGHTFERRY_GIT_SECONDS is 'abc'" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_settings_do_not_change(tmp_path: Path):
    given = Settings(tmp_path, tmp_path, {})
    with pytest.raises(ValidationError):
        given.deployers = 5  # type: ignore[misc]


def test_every_setting_is_explained():
    """With its reason, for the code's readers; the runbook has it for operators."""
    assert [variable(name) for name, field in Settings.model_fields.items() if not field.description] == []
