"""What an app says about itself: read strictly, filled in, and refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.entities.app.contract import AppContract
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.app.read_contract import read_contract

FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"


def an_app(folder: Path, contract: str = "", app: str = FLASK, **files: str) -> Path:
    (folder / "app.py").write_text(app)
    (folder / "requirements.txt").write_text("flask\n")
    if contract:
        (folder / "nightferry.yaml").write_text(contract)
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def fault(folder: Path) -> str:
    with pytest.raises(Permanent) as raised:
        read_contract(folder)
    assert raised.value.reason is Reason.APP_CONTRACT_INVALID
    return raised.value.sentence


def test_an_app_that_says_nothing_runs_under_granian(tmp_path: Path) -> None:
    contract = read_contract(an_app(tmp_path))
    assert contract.start == (
        *("granian", "--interface", "wsgi", "--host", "0.0.0.0"),
        *("--port", "8080", "app:app"),
    )
    assert (contract.requirements, contract.base, contract.port) == ("requirements.txt", "debian-12", 8080)


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("def create_app():\n    return 1\n", ["wsgi", "--factory", "app:create_app"]),
        ("import fastapi\napp = fastapi.FastAPI()\n", ["asgi", "app:app"]),
        ("async def app(scope, receive, send):\n    pass\n", ["asgi", "app:app"]),
        ("try:\n    from main import app\nexcept ImportError:\n    app = None\n", ["wsgi", "app:app"]),
    ],
)
def test_how_an_app_is_started_is_seen_without_running_it(tmp_path: Path, app: str, words: list[str]) -> None:
    start = read_contract(an_app(tmp_path, app=app)).start
    assert [word for word in words if word not in start] == []


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("x = 1\n", "neither app nor create_app()"),
        ("def f(:\n", "line 1 is not Python"),
        ("raise SystemExit('never run')\n", "neither app nor create_app()"),
    ],
)
def test_an_app_that_cannot_be_started_is_refused_before_anything_is_built(tmp_path: Path, app: str, said: str) -> None:
    assert said in fault(an_app(tmp_path, app=app))


def test_the_whole_contract_is_read_and_survives_the_record(tmp_path: Path) -> None:
    text = """\
base: debian-13
recipe: python
system: [libgomp1]
start: python -m churn --listen 0.0.0.0:5000
folder: src
environment: {MODE: production, WORKERS: 2, DEBUG: false}
model_at: ../models/churn.joblib
port: 5000
ready: /health
live: /live
version: /version
scratch: 128Mi
test: pytest -x
tests_need_model: true
checks:
  - {request: {post: /predict, json: {rows: [[1]]}}, answer: {status: 200, json: {churn: [0.11]}, tolerance: 0.01}}
"""
    folder = an_app(tmp_path, text)
    (folder / "src").mkdir()
    contract = read_contract(folder)
    assert contract.start == ("python", "-m", "churn", "--listen", "0.0.0.0:5000")
    assert contract.environment == {"MODE": "production", "WORKERS": "2", "DEBUG": "false"}
    assert contract.test == ("pytest", "-x")
    assert contract.checks[0].answer.tolerance == 0.01
    assert AppContract.model_validate(contract.to_json()) == contract


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        ("port: 80\n", "line 1: port: "),
        ("ready: /x\nprot: 8080\n", "line 2: prot: unknown key"),
        ("port: 1024\nport: 1025\n", "line 2: the key 'port' is given twice"),
        ("start: python app.py && sleep 1\n", "without a shell"),
        ("start: python app.py --port $PORT\n", "without a shell"),
        ("start: 'python \"app.py'\n", "No closing quotation"),
        ("start: ''\n", "a command is wanted"),
        ("folder: ../elsewhere\n", "below the app's folder"),
        ("folder: src\n", "there is no folder src"),
        ("requirements: other.txt\n", "there is no file other.txt"),
        ("dockerfile: Dockerfile\n", "there is no file Dockerfile"),
        ("model_at: /tmp/model\n", "/tmp/model of the image is not a place for a model"),
        ("model_at: .\n", "/app of the image is not a place for a model"),
        ("environment: {API_TOKEN: abc123}\n", "API_TOKEN looks like a secret"),
        ("start: python app.py --token=abc123\n", "line 1: start.2: it holds a password, key or token"),
        (
            "port: 8080\nchecks:\n  - {request: {get: /a, headers: {Authorization: Bearer abc123def456}}}\n",
            "line 3: checks.0.request.headers: it holds a password, key or token",
        ),
        ("checks:\n  - {request: {get: /a, headers: {X-Api-Key: abc}}}\n", "line 2: checks.0.request.headers: it"),
        ("checks:\n  - {request: {get: '/a?token=abc'}}\n", "line 2: checks.0.request.path: it holds"),
        ("environment: {A: }\n", "A has no value"),
        ("environment: {A: [1]}\n", "A is neither a text nor a number"),
        ("port: 8080\nchecks:\n  - {request: {post: /, json: .nan}}\n", "line 2: checks: "),
        ("checks: [{request: {post: /, json: {day: 2026-01-01}}}]\n", "line 1: checks: "),
        ('checks: [{request: {post: /, json: !!binary "/w=="}}]\n', "line 1: checks: "),
        (f"checks: [{{request: {{post: /, json: {'[' * 500}{']' * 500}}}}}]\n", "line 1: checks: "),
        (f"checks: [{{request: {{post: /, json: {'[' * 5000}{']' * 5000}}}}}]\n", "nightferry.yaml: "),
        ("environment: {NIGHTFERRY_RELEASE: x}\n", "NIGHTFERRY_RELEASE: the image and the release's objects"),
        ("environment: {'a b': x}\n", "a b: the name of a variable"),
        ('environment: {A: "x\\ny"}\n', "A has a line break"),
        ("system: ['libgomp1; rm -rf /']\n", "line 1: system.0"),
        ("base: debian-11\n", "debian-12, debian-13, or an image by its digest"),
        ("base: python:3.12\n", "an image by its digest"),
        ("scratch: 64\n", "scratch"),
        ("scratch: 64MB\n", "a quantity of Kubernetes"),
        (
            "checks:\n  - {request: {post: /a}}\n  - {request: {get: /b, json: 1, text: x}}\n",
            "line 3: checks.1.request",
        ),
        ("checks:\n  - {request: {}}\n", "names one method and its path"),
        ("a: &x [1]\nb: *x\n", "an alias"),
        ("- 1\n", "begins with `start:`"),
        ("port: [\n", "line 2"),
    ],
)
def test_what_is_wrong_with_a_contract_is_said_with_its_line(tmp_path: Path, contract: str, said: str) -> None:
    assert said in fault(an_app(tmp_path, contract))


def test_nothing_of_a_secret_is_repeated(tmp_path: Path) -> None:
    assert "abc123" not in fault(an_app(tmp_path, "start: python app.py --token=abc123\n"))


@pytest.mark.parametrize("contract", ["# port: 8080\n", "\n", "---\n"])
def test_all_of_a_contract_may_be_left_out(tmp_path: Path, contract: str) -> None:
    assert read_contract(an_app(tmp_path, contract)).port == 8080


@pytest.mark.parametrize("depth", [100_000, 5_000])
def test_an_app_too_deep_to_be_read_is_refused(tmp_path: Path, depth: int) -> None:
    assert "app.py" in fault(an_app(tmp_path, app=f"x = {'-' * depth}1\napp = x\n"))


def test_what_our_dockerfile_reads_is_not_for_an_app_with_its_own(tmp_path: Path) -> None:
    app = an_app(tmp_path, "dockerfile: Dockerfile\nsystem: [libgomp1]\n", Dockerfile="FROM scratch\n")
    assert "system is not for an app with a Dockerfile of its own" in fault(app)


def test_a_contract_that_would_fill_the_record_is_refused(tmp_path: Path) -> None:
    assert "more than" in fault(an_app(tmp_path, f"start: {'x' * 70_000}\n"))


def test_a_check_that_a_newer_version_recorded_is_read(tmp_path: Path) -> None:
    check = {
        "request": {"method": "get", "path": "/a", "seconds": 3},
        "answer": {"status": 201, "near": True},
        "name": "a",
    }
    (read,) = AppContract.model_validate({"checks": [check], "more": 1}).checks
    assert (read.request.path, read.answer.status) == ("/a", 201)
    assert "checks.0.request.seconds: unknown key" in fault(
        an_app(tmp_path, "checks: [{request: {get: /a, seconds: 3}}]\n")
    )
