"""`nightferry release --dry-run`: the decision, and no trace of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from nightferry.cli import main

from tests.fakes.a_release import IMAGE
from tests.fakes.model_versions import write_version


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with an app and the recipe of images."""
    root = tmp_path / "project"
    for name in ("serving_app/app.py", "tests/serving_app/test_app.py", "docker/serving/Dockerfile"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("# it\n", encoding="utf-8")
    for name in ("bare.py", "requirements-test.txt"):
        (root / "docker/serving" / name).write_text("", encoding="utf-8")
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=ana", "-c", "user.email=ana@example.com", "commit", "-q", "-m", "Begin"],
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    monkeypatch.setenv("NIGHTFERRY_ROOT", str(root))
    monkeypatch.setenv("NIGHTFERRY_BASE_IMAGE", IMAGE)
    return root


def test_it_says_what_would_be_released_and_writes_nothing(capsys, tmp_path, project, models, ledger, services):
    main(["models", "publish", "digits", str(write_version(tmp_path))])
    capsys.readouterr()

    assert main(["release", "digits", "--dry-run", "--json"]) == 0
    decision = json.loads(capsys.readouterr().out)
    assert (decision["reason"], decision["go"]) == ("first_release", True)
    assert decision["candidate"]["model"]["version"] == "2026-11-21-a"
    assert ledger.blobs == {}


def test_it_refuses_what_a_release_would_refuse_and_writes_nothing(capsys, project, models, ledger, services):
    assert main(["release", "digits", "--dry-run"]) == 2
    assert "[model_none]" in capsys.readouterr().err
    assert ledger.blobs == {}


@pytest.mark.parametrize("more", [["--dry-run"], ["--model", "2026-11-21-a"], ["--force"], ["--until", "published"]])
def test_what_goes_on_is_neither_tried_nor_decided_otherwise(capsys, project, models, ledger, services, more):
    """It would have said, or promised, something else than what goes on."""
    assert main(["release", "digits", "--resume", "digits-2026-11-21.1", *more]) == 2
    assert "resume" in capsys.readouterr().err
    assert ledger.blobs == {}
