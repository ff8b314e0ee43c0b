"""The command without a project around it, as a wheel has it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from nightferry import settings
from nightferry.cli import main
from nightferry.cli.output import redrawn, table

from tests.unit.cli.test_output import Terminal


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "installed", lambda: True)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ROOT", "HOME", "SERVICES"):
        monkeypatch.delenv(f"NIGHTFERRY_{name}", raising=False)


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A Python without one package."""
    found = importlib.util.find_spec
    name = request.param
    for module in ("nightferry.steps.model.try_model", "nightferry.cli.output"):
        monkeypatch.setattr(f"{module}.find_spec", lambda one: None if one == name else found(one))
    for loaded in (name, *(one for one in sys.modules if one.startswith(f"{name}."))):
        monkeypatch.setitem(sys.modules, loaded, None)


def test_its_files_are_in_the_users_home(tmp_path):
    assert settings.load().home == tmp_path / ".nightferry"


def test_a_project_that_is_named_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTFERRY_ROOT", str(tmp_path / "project"))
    loaded = settings.load()
    assert loaded.home == tmp_path / "project" / ".nightferry"
    assert tmp_path / "project" / "dags" / "services" in loaded.services_folders


@pytest.mark.parametrize("words", [["services", "check"], ["models", "list", "digits"], ["release", "digits"]])
def test_it_asks_for_the_service_files(words, capsys):
    assert main(words) == 2
    assert "NIGHTFERRY_SERVICES" in capsys.readouterr().err


def test_service_files_in_the_state_folder_are_read(tmp_path, capsys):
    (tmp_path / ".nightferry" / "services").mkdir(parents=True)
    assert main(["services", "check"]) == 0
    assert "No service files" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["up", "down", "status", "logs", "clean", "sample"])
def test_the_sandbox_is_for_a_checkout(command, capsys, monkeypatch):
    def touched(**_: object) -> None:
        raise AssertionError("nothing of the sandbox may be touched")

    monkeypatch.setattr("nightferry.cli.sandbox.Layout", touched)

    assert main([command]) == 2
    assert "checkout of the project" in capsys.readouterr().err


@pytest.mark.parametrize("lacking", ["onnxruntime", "PIL"], indirect=True)
def test_publishing_names_its_extra_before_anything_is_asked(lacking, services, models, tmp_path, capsys):
    models.fault = AssertionError("it was asked")
    assert main(["models", "publish", "digits", str(tmp_path)]) == 2
    assert "pip install 'nightferry[onnx]'" in capsys.readouterr().err


@pytest.mark.parametrize("lacking", ["kubernetes"], indirect=True)
def test_asking_the_cluster_names_its_extra(lacking, services, capsys):
    assert main(["url", "digits"]) == 2
    assert "pip install 'nightferry[kubernetes]'" in capsys.readouterr().err


@pytest.mark.parametrize("lacking", ["docker"], indirect=True)
def test_serving_an_app_names_its_extra_before_anything_is_built(lacking, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NIGHTFERRY_DOCKER_HOST", "unix:///nowhere")
    app, model = tmp_path / "app", tmp_path / "model.bin"
    app.mkdir()
    (app / "app.py").write_text("from flask import Flask\napp = Flask(__name__)\n", encoding="utf-8")
    model.write_bytes(b"weights")
    assert main(["app", "run", str(app), "--model", str(model), "--once"]) == 2
    said = capsys.readouterr().err
    assert "pip install 'nightferry[docker]'" in said
    assert "Building" not in said


@pytest.mark.parametrize("lacking", ["rich"], indirect=True)
def test_a_terminal_has_colours_without_rich_and_nothing_is_redrawn(lacking, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    table(("NAME", "STATE"), [("a", "failed")], out)
    assert "\x1b[1;31mfailed\x1b[0m" in out.getvalue()
    assert not redrawn(out)
