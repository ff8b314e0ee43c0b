"""Settings: what the user gives goes before what the sandbox chose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightferry import settings
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.settings import Settings


def sandbox(home: Path, **values: object) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "sandbox.json").write_text(json.dumps({"settings": values}))


def test_the_environment_goes_before_the_sandbox_before_the_default(tmp_path: Path):
    sandbox(tmp_path, NIGHTFERRY_A="sandbox", NIGHTFERRY_B="sandbox")
    given = Settings(tmp_path, tmp_path, {"NIGHTFERRY_A": "mine", "NIGHTFERRY_B": ""})
    assert [given.get(name, "default") for name in ("A", "B", "C")] == ["mine", "sandbox", "default"]


def test_only_what_the_user_gave_is_the_users_own(tmp_path: Path):
    sandbox(tmp_path, NIGHTFERRY_A="sandbox")
    given = Settings(tmp_path, tmp_path, {"NIGHTFERRY_B": "mine"})
    assert (given.own("A"), given.own("B")) == (None, "mine")


def test_a_service_file_may_name_all_that_is_known(tmp_path: Path):
    sandbox(tmp_path, NIGHTFERRY_A="sandbox", NIGHTFERRY_B="sandbox", NIGHTFERRY_C=7)
    given = Settings(tmp_path, tmp_path, {"NIGHTFERRY_A": "mine", "NIGHTFERRY_B": ""})
    assert given.expandable == {"NIGHTFERRY_A": "mine", "NIGHTFERRY_B": "sandbox"}


def test_a_missing_setting_is_named(tmp_path: Path):
    with pytest.raises(Permanent) as failure:
        Settings(tmp_path, tmp_path, {}).require("REGISTRY")
    assert failure.value.reason == Reason.SETTING_MISSING
    assert "NIGHTFERRY_REGISTRY" in failure.value.sentence


@pytest.mark.parametrize("written", ["", "[]", '{"settings": 3}', "{}"])
def test_a_broken_sandbox_file_says_nothing(tmp_path: Path, written: str):
    (tmp_path / "sandbox.json").write_text(written)
    assert Settings(tmp_path, tmp_path, {}).get("A") is None


def test_ambient_variables_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    monkeypatch.setenv("NIGHTFERRY_A", "mine")
    loaded = settings.load()
    assert set(loaded.environment) == {"NIGHTFERRY_A", "NIGHTFERRY_HOME"}


def test_service_files_stand_in_the_project_and_in_the_state_folder(tmp_path: Path):
    assert Settings(tmp_path / "root", tmp_path / "home", {}).services_folders == (
        tmp_path / "root" / "dags" / "services",
        tmp_path / "home" / "services",
    )
    given = Settings(tmp_path, tmp_path, {"NIGHTFERRY_SERVICES": "/a:/b"})
    assert given.services_folders == (Path("/a"), Path("/b"))
