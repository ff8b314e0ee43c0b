"""`nightferry services add` looks whether Airflow can reach the app's code."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.cli import main
from nightferry.clients import connect
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

from tests.fakes.git_origin import Origin, served
from tests.fakes.memory.memory_source import MemorySource

SERVICE = """\
service: churn
owner: crm
source: {{repository: "{repository}", ref: {ref}, path: {path}, tests: {tests}}}
model: {{repository: azure-blob://models/churn}}
image: {{repository: 127.0.0.1:5000/churn}}
environments: [{{name: production, namespace: production}}]
"""


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """A repository with an app and its tests."""
    made = Origin(tmp_path / "origin")
    made.commit({"app/app.py": "app = 1\n", "tests/test_app.py": "\n"})
    return made


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where service files are."""
    monkeypatch.setenv("NIGHTFERRY_SERVICES", str(tmp_path / "services"))
    return tmp_path / "services"


def add(folder: Path, repository: str, *words: str, ref: str = "main", path: str = "app", tests: str = "tests") -> int:
    file = folder.parent / "churn.yaml"
    file.write_text(SERVICE.format(repository=repository, ref=ref, path=path, tests=tests), encoding="utf-8")
    return main(["services", "add", str(file), *words])


@pytest.mark.parametrize("airflow", [None, "http://127.0.0.1:8080", "http://localhost:8080/", "http://[::1]:8080"])
def test_a_folder_of_this_machine_is_reached_by_an_airflow_on_it(
    place: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch, airflow: str | None
) -> None:
    if airflow:
        monkeypatch.setenv("NIGHTFERRY_AIRFLOW_URL", airflow)
    assert add(place, str(origin.folder)) == 0
    assert add(place, origin.address) == 0
    assert [file.name for file in place.iterdir()] == ["churn.yaml"]


@pytest.mark.parametrize(
    "airflow", ["https://airflow.example.org", "http://10.0.0.4:8080", "https://localhost.example"]
)
def test_a_folder_of_this_machine_is_not_reached_by_an_airflow_elsewhere(
    place: Path,
    origin: Origin,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    airflow: str,
) -> None:
    monkeypatch.setenv("NIGHTFERRY_AIRFLOW_URL", airflow)
    for repository in (str(origin.folder), origin.address):
        assert add(place, repository) == 3
        said = capsys.readouterr().err
        assert f"Airflow cannot reach {repository}, a folder of this machine" in said
        assert "Push the repository" in said
    assert not place.exists()
    with served(origin.folder.parent) as address:
        assert add(place, f"{address}/origin") == 0


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"ref": "mian"}, Reason.SOURCE_REF_UNKNOWN),
        ({"path": "apps"}, Reason.SOURCE_PATH_MISSING),
        ({"tests": "checks"}, Reason.SOURCE_PATH_MISSING),
    ],
)
def test_what_the_repository_does_not_have_is_said_before_the_night(
    place: Path, origin: Origin, capsys: pytest.CaptureFixture[str], wrong: dict[str, str], reason: Reason
) -> None:
    assert add(place, str(origin.folder), **wrong) == 2
    said = capsys.readouterr().err
    assert said.startswith("nightferry: Airflow cannot reach the app's code: ")
    assert f"[{reason}]" in said
    assert next(iter(wrong.values())) in said
    assert not place.exists()


def test_a_repository_that_is_not_there_is_refused_and_added_only_unseen(
    place: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert add(place, str(tmp_path / "none")) == 3
    said = capsys.readouterr().err
    assert "Airflow cannot reach the app's code" in said
    assert said.count("\n") == 1
    assert not place.exists()
    assert add(place, str(tmp_path / "none"), "--no-check") == 0
    assert [file.name for file in place.iterdir()] == ["churn.yaml"]


def test_a_server_that_does_not_answer_is_not_said_to_be_wrong(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(place.parent, status=503) as address:
        assert add(place, f"{address}/churn") == 3
    said = capsys.readouterr().err
    assert "could not be looked at" in said
    assert "cannot reach" not in said
    assert "[source_repository_unavailable]" in said
    assert not place.exists()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Temporary(Reason.SOURCE_REPOSITORY_UNAVAILABLE, "It is silent."), 3),
        (Permanent(Reason.DISK_FULL, "The disk is full."), 3),
        (Permanent(Reason.SOURCE_REPOSITORY_DENIED, "The key is refused."), 3),
    ],
)
def test_whatever_hinders_the_look_one_that_was_added_before_stays(
    place: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch, fault: Exception, code: int
) -> None:
    assert add(place, str(origin.folder)) == 0
    before = (place / "churn.yaml").read_bytes()
    source = MemorySource()

    def broken(*_: object) -> None:
        raise fault

    monkeypatch.setattr(source, "pin", broken)
    monkeypatch.setattr(connect, "source", lambda settings, given: source)
    assert add(place, "https://example.org/churn.git") == code
    assert (place / "churn.yaml").read_bytes() == before


def test_a_wrong_file_is_refused_before_anything_is_asked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("it was asked")

    monkeypatch.setattr(connect, "source", asked)
    assert add(place, "nonsense") == 2


def test_the_installations_own_code_needs_no_look(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTFERRY_AIRFLOW_URL", "https://airflow.example.org")
    assert add(place, ".", ref="nowhere") == 0
