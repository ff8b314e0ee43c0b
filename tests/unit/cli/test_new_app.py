"""`nightferry init --from app`: a repository that a team goes on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import yaml
from nightferry.cli import init, main
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.exchange import Exchange
from nightferry.errors import Permanent
from nightferry.steps.services import new_app as step
from nightferry.steps.services.load_services import load_service
from nightferry.steps.services.new_app import new_app

FILES = {
    *(".gitignore", "README.md", "churn.yaml", "train.py", "tests/test_app.py"),
    *("app/app.py", "app/nightferry.yaml", "app/requirements.txt"),
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's folder, and a place for service files."""
    monkeypatch.setenv("NIGHTFERRY_SERVICES", str(tmp_path / "services"))
    monkeypatch.setenv("NIGHTFERRY_REGISTRY", "127.0.0.1:5000")
    for name in ("GIT_AUTHOR_NAME", "GIT_DIR"):
        monkeypatch.delenv(name, raising=False)
    place = tmp_path / "desk"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git knows nobody."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    # git's own variables do not reach the git that nightferry runs; the system's configuration has no person in it.
    system = subprocess.run(["git", "config", "--system", "user.name"], capture_output=True, check=False)
    if system.returncode == 0:
        pytest.skip("the system's git configuration names a person")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_what_it_makes_is_one_commit_of_main_and_has_no_placeholder(desk: Path) -> None:
    assert main(["init", "churn", "--from", "app", "--owner", "crm"]) == 0
    folder = desk / "churn"
    assert set(git(folder, "ls-files").splitlines()) == FILES
    assert git(folder, "log", "--format=%s", "main") == "Begin churn"
    assert git(folder, "status", "--porcelain", "--ignored") == ""
    assert [name for name in FILES if step.PLACEHOLDER in (folder / name).read_text()] == []
    assert [path.name for path in desk.iterdir()] == ["churn"]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_its_service_file_is_added_with_its_source_looked_at(desk: Path) -> None:
    main(["init", "churn", "--from", "app", "--owner", "crm"])
    assert main(["services", "add", "churn/churn.yaml"]) == 0
    spec = load_service(desk.parent / "services", {"NIGHTFERRY_REGISTRY": "127.0.0.1:5000"}, "churn")
    assert spec.source is not None
    assert (spec.source.repository, spec.source.path, spec.source.tests) == (str(desk / "churn"), "app", "tests")


def test_its_contract_is_one(desk: Path) -> None:
    main(["init", "churn", "--from", "app"])
    contract = AppContract.model_validate(yaml.safe_load((desk / "churn/app/nightferry.yaml").read_text()))
    assert (contract.model_at, contract.port, contract.ready) == ("models/churn.joblib", 8080, "/health")
    assert "models/" in (desk / "churn/.gitignore").read_text()


def test_the_app_its_tests_and_its_training_work_together(desk: Path) -> None:
    """As its README says it: train, and the app answers the examples that the training wrote."""
    main(["init", "churn", "--from", "app"])
    folder = desk / "churn"
    tested = python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert tested.returncode == 0, tested.stdout
    trained = python(folder, "train.py")
    assert trained.returncode == 0, trained.stderr
    assert json.loads((folder / "metrics.json").read_text())["auc"] > 0.75
    written = [(folder / name).read_bytes() for name in ("metrics.json", "examples.jsonl")]
    assert python(folder, "train.py").returncode == 0
    assert [(folder / name).read_bytes() for name in ("metrics.json", "examples.jsonl")] == written
    lines = (folder / "examples.jsonl").read_text().splitlines()
    assert len(lines) == 5
    assert [Exchange.model_validate_json(line).request.path for line in lines] == ["/predict"] * 5
    assert git(folder, "status", "--porcelain") == ""

    contract = yaml.safe_load((folder / "app/nightferry.yaml").read_text())
    place = folder / "app" / contract["model_at"]
    place.parent.mkdir()
    (folder / "model.joblib").rename(place)
    exchanges = [json.loads(line) for line in lines] + contract["checks"]
    (folder / "exchanges.json").write_text(json.dumps(exchanges))
    asked = python(folder / "app", "-c", ASK, str(folder / "exchanges.json"))
    assert asked.returncode == 0, asked.stderr
    answers = json.loads(asked.stdout)
    assert [body for status, body in answers if status == 200] == [one["answer"]["json"] for one in exchanges[:5]]
    assert [status for status, _ in answers[5:]] == [400] * len(contract["checks"])


ASK = """
import json, sys
from app import create_app
client = create_app().test_client()
answers = [client.post(one["request"]["post"], json=one["request"]["json"]) for one in json.load(open(sys.argv[1]))]
print(json.dumps([(answer.status_code, answer.json) for answer in answers]))
"""


def test_git_without_an_identity_commits_as_the_person(
    desk: Path, no_identity: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ana Müller")
    assert main(["init", "churn", "--from", "app"]) == 0
    assert git(desk / "churn", "log", "--format=%an", "-1") == "Ana Müller"


@pytest.mark.parametrize("name", ["...", "<>"])
def test_a_person_whose_name_git_cannot_take_commits_too(
    desk: Path, no_identity: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", name)
    assert main(["init", "churn", "--from", "app", "--owner", "crm"]) == 0


def test_a_persons_own_git_configuration_names_the_author_and_hinders_nothing(
    desk: Path, no_identity: None, tmp_path: Path
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    (tmp_path / "ignore").write_text("*.yaml\n")
    (tmp_path / ".gitconfig").write_text(
        "[user]\nname = Ana\nemail = ana@example.org\n[commit]\ngpgSign = true\n[gpg]\nprogram = false\n"
        f"[core]\nhooksPath = {hooks}\nexcludesFile = {tmp_path / 'ignore'}\n[init]\ntemplateDir = /none\n"
    )
    assert main(["init", "churn", "--from", "app"]) == 0
    assert git(desk / "churn", "log", "--format=%an <%ae>", "-1") == "Ana <ana@example.org>"
    assert set(git(desk / "churn", "ls-files").splitlines()) == FILES


def test_what_is_there_stays_as_it_is(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "churn").mkdir()
    (desk / "churn" / "mine").write_text("mine")
    (desk / "file").write_text("mine")
    (desk / "link").symlink_to(desk / "churn")
    for out in ("churn", "file", "link", ".", "file/churn", "none/churn"):
        assert main(["init", "churn", "--from", "app", "--out", out]) == 2, out
        assert "nothing was done" in capsys.readouterr().err
    assert {path.name for path in desk.iterdir()} == {"churn", "file", "link"}
    assert [path.name for path in (desk / "churn").iterdir()] == ["mine"]


def test_an_empty_folder_is_taken(desk: Path) -> None:
    (desk / "churn").mkdir()
    assert main(["init", "churn", "--from", "app"]) == 0
    assert (desk / "churn" / "churn.yaml").is_file()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["Churn"], "cannot be called"),
        (["my churn"], "cannot be called"),
        (["c" * 41], "cannot be called"),
        (["churn", "--owner", " "], "owner"),
        (["churn", "--owner", "password=hunter2hunter2"], "owner"),
        (["churn", "--owner", "a\x7fb"], "Such a service cannot be"),
        (["churn", "--owner", "a\udcffb"], "owner"),
    ],
)
@pytest.mark.parametrize("begin", ["app", "model"])
def test_what_would_not_be_added_is_not_begun(
    desk: Path, capsys: pytest.CaptureFixture[str], words: list[str], named: str, begin: str
) -> None:
    assert main(["init", *words, "--from", begin]) == 2
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1
    assert list(desk.iterdir()) == []


def test_a_folder_whose_name_no_file_can_hold_is_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "churn", "--from", "app", "--out", "a\udcffb"]) == 2
    assert "UTF-8" in capsys.readouterr().err
    assert list(desk.iterdir()) == []


def test_without_git_nothing_is_left(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["init", "churn", "--from", "app"]) == 3
    assert "git is not installed here" in capsys.readouterr().err
    assert list(desk.iterdir()) == []


def test_of_two_who_begin_at_once_one_is_told(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together, put = Barrier(4), step._put

    def at_once(*words: Path) -> None:
        together.wait(60)
        put(*words)

    monkeypatch.setattr(step, "_put", at_once)

    def begin(number: int) -> str:
        try:
            return new_app("churn", f"owner-{number}", "ana", Path("churn"), init.TEMPLATE).commit
        except Permanent as fault:
            return fault.sentence

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(begin, range(4)))
    assert sum("is there already" in one for one in said) == 3
    assert git(desk / "churn", "rev-parse", "HEAD") in said
    assert git(desk / "churn", "status", "--porcelain") == ""
    assert [path.name for path in desk.iterdir()] == ["churn"]


def test_programs_get_the_paths(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "churn", "--from", "app", "--out", "here", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    commit = git(desk / "here", "rev-parse", "HEAD")
    assert said == {"service": "churn", "folder": "here", "file": "here/churn.yaml", "commit": commit}


@pytest.mark.parametrize("name", ["it's a $HOME", "-dash", "ü b"])
def test_what_is_to_be_typed_next_can_be_pasted(desk: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["init", "churn", "--from", "app", "--owner", "crm", f"--out={name}"]) == 0
    line = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("  cd "))
    done = subprocess.run(["sh", "-c", f"{line} && pwd"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(desk / name)


@pytest.mark.parametrize("length", [230, 250, 300])
def test_a_long_name_is_taken_or_refused_with_a_sentence(desk: Path, length: int) -> None:
    name = "l" * length
    if length < 256:
        assert new_app("churn", "crm", "eva", Path(name), init.TEMPLATE).folder == Path(name)
    else:
        with pytest.raises(Permanent, match="File name too long"):
            new_app("churn", "crm", "eva", Path(name), init.TEMPLATE)
