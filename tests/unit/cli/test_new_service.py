"""`nightferry init` and `nightferry services add`: a service begins."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import yaml
from nightferry.cli import main
from nightferry.steps.services.load_services import load_services
from nightferry.steps.services.new_service import add_service

KNOWN = {"NIGHTFERRY_REGISTRY": "127.0.0.1:5000"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's folder, and two folders of services."""
    (tmp_path / "given").mkdir()
    monkeypatch.setenv("NIGHTFERRY_SERVICES", f"{tmp_path / 'given'}:{tmp_path / 'own'}")
    monkeypatch.setenv("NIGHTFERRY_REGISTRY", "127.0.0.1:5000")
    place = tmp_path / "desk"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def added(desk: Path) -> dict[str, str]:
    loaded = load_services([desk.parent / "given", desk.parent / "own"], KNOWN)
    assert not loaded.problems
    return {name: spec.owner for name, (spec, _) in loaded.specs.items()}


def test_what_init_writes_is_added_and_sound(desk: Path) -> None:
    assert main(["init", "churn", "--owner", "crm"]) == 0
    assert main(["services", "add", "churn.yaml"]) == 0
    assert added(desk) == {"churn": "crm"}
    assert main(["services", "check"]) == 0


@pytest.mark.parametrize("owner", ["Ana Müller", 'the "A" team', "42", "ana@example.com", "yes: no", "#1"])
def test_an_owner_may_have_any_name(desk: Path, owner: str) -> None:
    assert main(["init", "churn", "--owner", owner]) == 0
    assert main(["services", "add", "churn.yaml"]) == 0
    assert added(desk) == {"churn": owner}


@pytest.mark.parametrize("name", ["Churn", "my churn", "für", "c" * 41, "", "-a", "../x"])
def test_a_name_that_no_service_can_have_is_refused(desk: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["init", "--", name]) == 2
    assert "cannot be called" in capsys.readouterr().err
    assert list(desk.iterdir()) == []


def test_nothing_is_written_over(desk: Path) -> None:
    (desk / "churn.yaml").write_text("mine")
    assert main(["init", "churn"]) == 2
    assert (desk / "churn.yaml").read_text() == "mine"
    assert main(["init", "churn", "--out", "none/churn.yaml"]) == 2


def test_added_again_it_is_the_same_and_a_changed_one_replaces_it(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["init", "churn", "--owner", "crm"])
    main(["services", "add", "churn.yaml"])
    capsys.readouterr()
    assert main(["services", "add", "churn.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is False
    path = desk / "churn.yaml"
    path.write_text(path.read_text().replace("crm", "sales"))
    assert main(["services", "add", "churn.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is True
    assert added(desk) == {"churn": "sales"}


def test_a_file_that_is_wrong_is_named_and_changes_nothing(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "churn.yaml").write_text("service: churn\n")
    assert main(["services", "add", "churn.yaml"]) == 2
    said = capsys.readouterr().err
    assert "churn.yaml: " in said
    assert "0-new" not in said
    assert main(["services", "add", "none.yaml"]) == 2
    assert added(desk) == {}


def test_a_name_that_another_folder_has_is_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "churn", "--out", str(desk.parent / "given" / "its.yaml")])
    main(["init", "churn"])
    assert main(["services", "add", "churn.yaml"]) == 2
    assert "its.yaml" in capsys.readouterr().err
    assert not (desk.parent / "own").exists()


def test_a_name_whose_objects_another_service_has_is_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("churn", "churn-candidate"):
        main(["init", name])
    assert main(["services", "add", "churn.yaml"]) == 0
    assert main(["services", "add", "churn-candidate.yaml"]) == 2
    assert "[service_name_taken]" in capsys.readouterr().err
    assert list(added(desk)) == ["churn"]


def test_a_broken_file_of_another_service_hinders_nobody(desk: Path) -> None:
    (desk.parent / "given" / "broken.yaml").write_text("service: broken\n")
    main(["init", "churn"])
    assert main(["services", "add", "churn.yaml"]) == 0


def test_the_file_of_another_service_is_not_replaced(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be called as it likes."""
    own = desk.parent / "own"
    own.mkdir()
    main(["init", "letters", "--out", str(own / "churn.yaml")])
    main(["init", "churn"])
    assert main(["services", "add", "churn.yaml"]) == 2
    assert "letters" in capsys.readouterr().err
    assert list(added(desk)) == ["letters"]


def test_a_link_that_somebody_left_is_not_written_through(desk: Path) -> None:
    own, victim = desk.parent / "own", desk.parent / "victim"
    own.mkdir()
    victim.write_text("mine")
    (own / ".churn.yaml.new").symlink_to(victim)
    main(["init", "churn"])
    assert main(["services", "add", "churn.yaml"]) == 0
    assert victim.read_text() == "mine"
    assert list(added(desk)) == ["churn"]


def test_a_neighbour_may_have_any_name_and_a_sentence_names_no_scratch(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = desk.parent / "own"
    own.mkdir()
    main(["init", "churn", "--out", str(own / "0-new.yaml")])
    main(["init", "churn"])
    capsys.readouterr()
    assert main(["services", "add", "churn.yaml"]) == 2
    assert str(own / "0-new.yaml") in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_said(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk.parent / "own").write_text("a file")
    main(["init", "churn"])
    assert main(["services", "add", "churn.yaml"]) == 2
    assert "nothing was changed" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["d: 2020-99-99", "? [a]\n: 1", "a: &x [*x]"])
def test_what_no_service_file_holds_is_refused_and_hinders_no_other(desk: Path, line: str) -> None:
    main(["init", "churn"])
    (desk / "odd.yaml").write_text(f"service: odd\n{line}\n")
    assert main(["services", "add", "odd.yaml"]) == 2
    (desk.parent / "given" / "odd.yaml").write_text(f"service: odd\n{line}\n")
    assert main(["services", "add", "churn.yaml"]) == 0
    loaded = load_services([desk.parent / "given", desk.parent / "own"], KNOWN)
    assert (list(loaded.specs), len(loaded.problems)) == (["churn"], 1)


def test_two_who_add_at_once_both_end_well_and_one_file_is_whole(desk: Path) -> None:
    folders = [desk.parent / "given", desk.parent / "own"]
    files = []
    for owner in ("crm", "sales"):
        main(["init", "churn", "--owner", owner, "--out", f"{owner}.yaml"])
        files.append(desk / f"{owner}.yaml")
    together = Barrier(8)

    def add(number: int) -> None:
        together.wait(10)
        add_service(files[number % 2], folders, KNOWN)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    assert added(desk)["churn"] in ("crm", "sales")
    assert [path.name for path in (desk.parent / "own").iterdir()] == ["churn.yaml"]


def test_the_stock_service_is_left_out_of_the_file(desk: Path) -> None:
    main(["init", "churn"])
    lines = (desk / "churn.yaml").read_text().splitlines()
    assert "# source left out: the stock service, which serves any model in ONNX" in lines
    assert "source" not in yaml.safe_load("\n".join(lines))
