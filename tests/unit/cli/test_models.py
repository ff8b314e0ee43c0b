"""`nightferry models publish` and `list`."""

from __future__ import annotations

import json

import pytest
from nightferry.cli import main

from tests.fakes.model_versions import write_version

pytestmark = pytest.mark.usefixtures("trial_here")


@pytest.fixture(autouse=True)
def _time(monkeypatch, clock):
    monkeypatch.setattr("nightferry.cli.models.SystemClock", lambda: clock)


def test_a_version_is_published_once_and_then_listed(capsys, tmp_path, models, services):
    folder = write_version(tmp_path)

    assert main(["models", "publish", "digits", str(folder), "--json"]) == 0
    assert "model.json" in json.loads(capsys.readouterr().out)["uploaded"]
    assert main(["models", "publish", "digits", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["uploaded"] == []
    assert main(["models", "list", "digits"]) == 0
    (_, listed) = capsys.readouterr().out.splitlines()
    assert listed.startswith("2026-11-21-a")
    assert "2026-11-21 01:00:00 CET" in listed
    assert "0.9700" in listed


def test_a_folder_without_a_manifest_is_bad_input(capsys, tmp_path, models, services):
    assert main(["models", "publish", "digits", str(tmp_path / "missing")]) == 2
    assert str(tmp_path / "missing") in capsys.readouterr().err
    assert models.blobs == {}


def test_other_content_under_a_published_name_is_refused(capsys, tmp_path, models, services):
    main(["models", "publish", "digits", str(write_version(tmp_path / "one"))])
    other = write_version(tmp_path / "two", author="someone else")

    assert main(["models", "publish", "digits", str(other)]) == 2
    assert "[model_exists]" in capsys.readouterr().err


def test_a_model_of_another_service_is_refused(capsys, tmp_path, models, services):
    folder = write_version(tmp_path, service="letters")

    assert main(["models", "publish", "digits", str(folder)]) == 2
    assert "letters" in capsys.readouterr().err
    assert models.blobs == {}


@pytest.mark.parametrize("command", [["models", "publish", "x", "."], ["models", "list", "x"]])
def test_an_unknown_service_is_bad_input(capsys, command, models, services):
    assert main(command) == 2
    assert "[service_unknown]" in capsys.readouterr().err


def test_no_versions_says_how_to_publish_one(capsys, models, services):
    assert main(["models", "list", "digits"]) == 0
    assert "nightferry models publish digits" in capsys.readouterr().out


def test_a_version_that_will_not_be_the_newest_is_told(capsys, tmp_path, models, services):
    main(["models", "publish", "digits", str(write_version(tmp_path, "new", created="2026-11-20T12:00:00Z"))])
    capsys.readouterr()
    old = write_version(tmp_path, "old", created="2026-11-20T00:00:00Z")

    assert main(["models", "publish", "digits", str(old)]) == 0
    shown = capsys.readouterr()
    assert "old is not the newest" in shown.err
    assert "old is not the newest" not in shown.out
    assert main(["models", "publish", "digits", str(old), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["newest"], len(document["notes"])) == (False, 1)
