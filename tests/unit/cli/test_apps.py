"""`nightferry app check`, `app lock` and `app run`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nightferry.cli import main
from nightferry.cli.apps import in_python, run
from nightferry.cli.apps.staged import Model, copy_app, copy_model
from nightferry.clients import connect
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.entities.app.contract import AppContract
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

from tests.fakes.memory.memory_locks import MemoryLocks
from tests.fakes.memory.memory_source import MemorySource

DIGEST = f"sha256:{'0' * 64}"


class Resolver:
    """Stands for BuildKit: flask has the version that is set."""

    version = "3.0.1"
    builds = 0

    def build(self, request: BuildRequest, log: Path) -> None:
        self.builds += 1
        file = f"flask-{self.version}-py3-none-any.whl"
        sha256 = hashlib.sha256(file.encode()).hexdigest()
        flask = {"name": "flask", "version": self.version, "file": file, "sha256": sha256, "kind": "index"}
        assert request.out is not None
        lock = {"base_image": "b", "python": "3.11", "packages": [flask]}
        (request.out / "lock.json").write_text(json.dumps(lock))


@pytest.fixture
def locks(services: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryLocks:
    """The locks of the service churn, which has an app of its own."""
    text = (services / "digits.yaml").read_text(encoding="utf-8").replace("service: digits", "service: churn")
    (services / "churn.yaml").write_text(text + "source: {path: app}\n", encoding="utf-8")
    source, store = MemorySource(), MemoryLocks()
    source.commit("main", {"app/app.py": b"app = 1\n", "app/requirements.txt": b"flask\n"})
    monkeypatch.setattr(connect, "source", lambda settings, source_: source)
    monkeypatch.setattr(connect, "locks", lambda settings, model: store)
    monkeypatch.setenv("NIGHTFERRY_BASE_IMAGE", f"base@{DIGEST}")
    return store


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """The builder."""
    made = Resolver()
    monkeypatch.setattr(connect, "builder", lambda settings: made)
    return made


def test_a_renewal_says_what_moved(capsys, locks, resolver):
    assert main(["app", "lock", "churn"]) == 0
    assert capsys.readouterr().out == "flask 3.0.1\n"
    resolver.version = "3.1.0"
    assert main(["app", "lock", "churn", "--upgrade"]) == 0
    assert capsys.readouterr().out == "Lock 2 of churn: flask 3.0.1 → 3.1.0.\n"
    assert resolver.builds == 2
    assert main(["app", "lock", "churn", "--upgrade"]) == 0
    assert "Nothing moved" in capsys.readouterr().out


def test_the_first_renewal_resolves_once(capsys, locks, resolver):
    assert main(["app", "lock", "churn", "--upgrade"]) == 0
    assert capsys.readouterr().out == "Lock 1 of churn: new: flask 3.0.1.\n"
    assert resolver.builds == 1


def test_a_broken_lock_is_mended_by_the_command_that_its_sentence_names(capsys, locks, resolver):
    assert main(["app", "lock", "churn"]) == 0
    (name,) = locks.blobs
    locks.blobs[name] = b"{"
    assert main(["app", "lock", "churn"]) != 0
    assert "--upgrade" in capsys.readouterr().err
    assert main(["app", "lock", "churn", "--upgrade"]) == 0
    assert main(["app", "lock", "churn"]) == 0


def test_a_folder_is_served_without_git(tmp_path, monkeypatch):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").touch()
    (tmp_path / "app" / ".hidden").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    copy_app(tmp_path / "app", tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["app.py"]


def test_a_folder_that_git_ignores_is_served(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("app\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").touch()
    copy_app(tmp_path / "app", tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["app.py"]


def test_an_app_whose_files_have_any_name_is_served(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path / "app")], check=True)
    for name in ("ä b\n.txt", "\udcff"):
        (tmp_path / "app" / name).touch()
    copy_app(tmp_path / "app", tmp_path / "copy")
    assert len(list((tmp_path / "copy").iterdir())) == 2


@pytest.mark.parametrize(
    ("names", "given", "model", "files"),
    [
        (["m.joblib"], "m.joblib", "m.joblib", {"m.joblib"}),
        # As it is published: of a folder the whole folder is the model, however many files it has.
        (["m.joblib"], ".", ".", {"m.joblib"}),
        (["a/m.bin", "b.txt", ".hidden", "__pycache__/x.pyc"], ".", ".", {"a/m.bin", "b.txt"}),
    ],
)
def test_the_model_is_what_would_be_published(tmp_path, names, given, model, files):
    for name in names:
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text("x")
    found = copy_model(tmp_path / "from" / given, tmp_path / "model")
    assert (set(found.files), found.model) == (files, model)
    assert {path.relative_to(tmp_path / "model").as_posix() for path in (tmp_path / "model").rglob("*.*")} == files


def test_a_version_is_served_as_its_model_json_says(tmp_path):
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "m.bin").write_bytes(b"x")
    sha256 = hashlib.sha256(b"x").hexdigest()
    manifest = {
        "format": "files",
        "service": "churn",
        "version": "v1",
        "created": "2026-11-21T13:00:00Z",
        "author": "a",
    }
    manifest |= {"files": [{"name": "m.bin", "size": 1, "sha256": sha256}], "model": "m.bin", "metrics": {}}
    (tmp_path / "from" / "model.json").write_text(json.dumps(manifest))
    found = copy_model(tmp_path / "from", tmp_path / "model")
    assert (found.files, found.model) == (("m.bin",), "m.bin")
    assert (tmp_path / "model" / "model.json").is_file()


def test_a_model_that_could_not_be_published_is_not_served(tmp_path):
    (tmp_path / "empty.joblib").touch()
    with pytest.raises(Permanent, match="0 bytes"):
        copy_model(tmp_path / "empty.joblib", tmp_path / "model")


def test_nothing_of_the_app_is_left_out_of_its_image(tmp_path):
    (tmp_path / "app").mkdir()
    for name in ("app.py", ".dockerignore"):
        (tmp_path / "app" / name).write_text("app.py\n")
    subprocess.run(["git", "init", "-q", str(tmp_path / "app")], check=True)
    copy_app(tmp_path / "app", tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["app.py"]


@pytest.fixture
def environments(tmp_path, monkeypatch):
    """What pip was told of each environment that was made, in place of making it."""
    told: list[list[str]] = []

    def create(place: Path, **_: object) -> None:
        place.mkdir(parents=True)

    def pip(words: list[str], **options: object) -> object:
        told.append([*words, str(options["cwd"])])
        return subprocess.CompletedProcess(words, 1 if fails else 0, "", "\n".join(fails))

    fails: list[str] = []
    monkeypatch.setattr(in_python.venv, "create", create)
    monkeypatch.setattr(in_python.subprocess, "run", pip)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "requirements.txt").write_text("-r more.txt\n")
    (tmp_path / "app" / "more.txt").write_text("flask\n")
    return told, fails


def test_an_environment_follows_every_file_of_the_requirements(tmp_path, environments):
    first = in_python._environment(AppContract(), tmp_path / "app")
    assert in_python._environment(AppContract(), tmp_path / "app") == first
    (tmp_path / "app" / "more.txt").write_text("flask==3\n")
    assert in_python._environment(AppContract(), tmp_path / "app") != first
    told, _ = environments
    assert [words[-1] for words in told] == [str(tmp_path / "app")] * 2  # where ./wheels/x.whl begins


def test_a_project_is_served_in_its_image_alone(tmp_path, environments):
    (tmp_path / "app" / "pyproject.toml").touch()
    with pytest.raises(Permanent, match="--no-image"):
        in_python._environment(AppContract(requirements="pyproject.toml"), tmp_path / "app")


def test_no_address_of_an_index_is_shown(tmp_path, environments):
    _, fails = environments
    fails += ["ERROR: HTTPSConnectionPool(host='pip.example', port=443): https://u:p@pip.example/simple/flask/ failed"]
    with pytest.raises(Permanent) as raised:
        in_python._environment(AppContract(), tmp_path / "app")
    assert "pip.example" not in raised.value.sentence


def test_a_place_for_the_model_that_the_app_has_itself_is_said(tmp_path):
    for name in ("model", "app/models/m.joblib"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(Permanent, match="model_at"):
        in_python._place_model(AppContract(model_at="models/m.joblib"), tmp_path, Model(("m",), "m"))


@pytest.mark.parametrize("port", ["0", "80", "-1", "65536", "99999999999999999999", "x"])
def test_a_port_that_none_is_is_said(capsys, tmp_path, port):
    (tmp_path / "app.py").write_text("app = 1\n")
    with pytest.raises(SystemExit) as ended:
        main(["app", "run", str(tmp_path), "--port", port])
    assert ended.value.code == 2
    assert "--port" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "plain"), [("churn", "churn"), ('Über "churn" 2', "ber-churn-2"), ("é", "app")])
def test_an_image_that_is_tried_here_is_called_as_its_app(tmp_path, monkeypatch, name, plain):
    """Each try under another name would fill the registry."""
    folders: list[str] = []

    @contextlib.contextmanager
    def serve(contract: AppContract, folder: Path, *_: object) -> Iterator[None]:
        folders.append(folder.name)
        assert (folder / "app" / "app.py").is_file()
        raise Permanent(Reason.REQUEST_INVALID, "It is not served.")
        yield

    monkeypatch.setattr(run, "served_in_image", serve)
    (tmp_path / name).mkdir()
    (tmp_path / name / "app.py").write_text("app = 1\n")
    assert main(["app", "run", str(tmp_path / name)]) == 2
    assert folders == [plain]
