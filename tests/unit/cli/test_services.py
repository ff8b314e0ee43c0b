"""`nightferry services check`."""

from __future__ import annotations

import json

from nightferry.cli import main


def test_sound_files_are_listed(capsys, services):
    assert main(["services", "check"]) == 0
    shown = capsys.readouterr().out
    assert "digits" in shown
    assert "0 2 * * * Europe/Zurich" in shown


def test_an_app_of_its_own_is_told_what_it_must_do_for_kept_connections(capsys, services):
    """It is no fault: a gateway or the app itself may see to it."""
    text = (services / "digits.yaml").read_text(encoding="utf-8")
    letters = text.replace("service: digits", "service: letters") + "source: {path: apps/letters}\n"
    (services / "letters.yaml").write_text(letters, encoding="utf-8")

    assert main(["services", "check"]) == 0
    assert "letters: its app apps/letters is not the stock service" in capsys.readouterr().out
    assert main(["services", "check", "--json"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note.startswith("letters: ")


def test_a_bad_file_is_named_with_its_key_and_the_others_stay(capsys, services):
    (services / "bad.yaml").write_text("service: bad\nowner: me\nmodle: {}\n", encoding="utf-8")

    assert main(["services", "check", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert [service["service"] for service in shown["services"]] == ["digits"]
    (problem,) = shown["problems"]
    assert problem["reason"] == "service_file_invalid"
    assert "modle" in problem["sentence"]
    assert problem["file"].endswith("bad.yaml")


def test_files_of_several_folders_count(capsys, services, tmp_path, monkeypatch):
    more = tmp_path / "more"
    more.mkdir()
    text = (services / "digits.yaml").read_text(encoding="utf-8")
    (more / "letters.yaml").write_text(text.replace("service: digits", "service: letters"), encoding="utf-8")
    monkeypatch.setenv("NIGHTFERRY_SERVICES", f"{services}:{more}:{tmp_path / 'missing'}")

    assert main(["services", "check", "--json"]) == 0
    assert [found["service"] for found in json.loads(capsys.readouterr().out)["services"]] == ["digits", "letters"]


def test_one_name_in_two_folders_is_refused(capsys, services, tmp_path, monkeypatch):
    more = tmp_path / "more"
    more.mkdir()
    (more / "again.yaml").write_text((services / "digits.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("NIGHTFERRY_SERVICES", f"{services}:{more}")

    assert main(["services", "check", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["services"] == []
    assert {problem["reason"] for problem in shown["problems"]} == {"service_duplicated"}


def test_no_files_at_all_says_where_they_are_looked_for(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTFERRY_SERVICES", str(tmp_path / "missing"))

    assert main(["services", "check"]) == 0
    assert str(tmp_path / "missing") in capsys.readouterr().out
