"""The wheel of `make dist`, installed into a fresh environment: what a laptop gets, and what it says of the rest."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.fakes.a_release import SERVICE_FILE
from tests.fakes.model_versions import linear_onnx

pytestmark = pytest.mark.clients

ROOT = Path(__file__).parents[2]
MOST = 60_000_000
"""Bytes that may be installed."""
ABSENT = ("airflow", "boto3", "docker", "flask", "holidays", "kubernetes", "numpy", "onnxruntime", "supervisor")
COMMANDS = (
    *("", "models", "models publish", "models list", "release", "history", "show", "url"),
    *("ledger", "ledger verify", "ledger export", "services", "services check", "services add", "init", "login"),
    *("app", "app check", "app lock", "app run", "calendar"),
)
NOTHING = b"<?xml version='1.0'?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"
"""A container without blobs: https://learn.microsoft.com/rest/api/storageservices/list-blobs"""

NO_BLOB = b"<?xml version='1.0'?><Error><Code>BlobNotFound</Code><Message>None such.</Message></Error>"


@dataclass(frozen=True)
class Laptop:
    """An environment that has the wheel, and a person without any setting."""

    environment: Path
    home: Path

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run its interpreter."""
        return self._run(self.environment / "bin" / "python", *words)

    def nightferry(self, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
        """Run the command with these settings."""
        return self._run(self.environment / "bin" / "nightferry", *words, **given)

    def _run(self, program: Path, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
        environ = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **given}
        return subprocess.run(
            [program, *words], cwd=self.home, env=environ, capture_output=True, text=True, timeout=300, check=False
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("Makefile", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("plugins", "serving_app"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    # `-o`: the environment that runs this test is taken as it is.
    subprocess.run(["make", "-s", "-C", copy, "-o", f"{sys.prefix}/.ready", f"VENV={sys.prefix}", "dist"], check=True)
    (built,) = (copy / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def laptop(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    """With `pip install nightferry`."""
    return _install(wheel, "", tmp_path_factory.mktemp("laptop"))


@pytest.fixture(scope="module")
def with_onnx(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    """With `pip install 'nightferry[onnx]'`."""
    return _install(wheel, "[onnx]", tmp_path_factory.mktemp("onnx"))


def _install(wheel: Path, extra: str, folder: Path) -> Laptop:
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    environment, home = folder / "environment", folder / "home"
    home.mkdir()
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, environment], check=True)
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", environment / "bin" / "python"]
    subprocess.run([*install, f"nightferry{extra} @ {wheel.as_uri()}"], check=True)
    return Laptop(environment, home)


@pytest.fixture
def service_files(tmp_path: Path) -> dict[str, str]:
    """The setting that names a folder with the file of the service digits."""
    folder = tmp_path / "services"
    folder.mkdir()
    (folder / "digits.yaml").write_text(SERVICE_FILE, encoding="utf-8")
    return {"NIGHTFERRY_SERVICES": str(folder)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An ONNX file."""
    file = tmp_path / "model.onnx"
    file.write_bytes(linear_onnx())
    return file


class _Nothing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        listing = "comp=list" in self.path
        body = NOTHING if listing else NO_BLOB
        self.send_response(200 if listing else 404)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def empty_storage(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The setting that leads to a storage account without models."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Nothing) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield _storage_at(server.server_port, tmp_path)
        server.shutdown()


@pytest.fixture
def no_storage(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The setting that leads to a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield _storage_at(taken.getsockname()[1], tmp_path)


def _storage_at(port: int, folder: Path) -> dict[str, str]:
    file = folder / "connection"
    key = base64.b64encode(b"key").decode()
    address = f"http://127.0.0.1:{port}/nightferry"
    file.write_text(f"DefaultEndpointsProtocol=http;AccountName=nightferry;AccountKey={key};BlobEndpoint={address};")
    return {"NIGHTFERRY_STORAGE_CONNECTION_FILE": str(file)}


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What it said: it failed with one line, and printed nothing else."""
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith("nightferry: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_no_airflow_no_cluster_and_no_model_comes_with_it(laptop: Laptop) -> None:
    looks = f"from importlib.util import find_spec; print([name for name in {ABSENT} if find_spec(name)])"
    assert laptop.python("-c", looks).stdout == "[]\n"


def test_it_stays_small(laptop: Laptop) -> None:
    (packages,) = (laptop.environment / "lib").glob("python3*/site-packages")
    assert sum(file.stat().st_size for file in packages.rglob("*") if file.is_file()) <= MOST


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(laptop: Laptop, command: str) -> None:
    done = laptop.nightferry(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"nightferry {command}".strip() in done.stdout


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["models", "list", "digits"], "NIGHTFERRY_SERVICES"),
        (["release", "digits", "--dry-run"], "NIGHTFERRY_SERVICES"),
        (["services", "check"], "NIGHTFERRY_SERVICES"),
        (["history", "digits"], "NIGHTFERRY_STORAGE_URL"),
        (["show", "digits-2026-11-21.1"], "NIGHTFERRY_STORAGE_URL"),
        (["ledger", "verify", "digits"], "NIGHTFERRY_STORAGE_URL"),
    ],
)
def test_a_person_without_settings_is_told_the_first(laptop: Laptop, words: Sequence[str], named: str) -> None:
    said = sentence(laptop.nightferry(*words))
    assert named in said
    assert "nightferry up" not in said  # there is no sandbox in a wheel


def test_service_files_are_checked(laptop: Laptop, service_files: dict[str, str]) -> None:
    done = laptop.nightferry("services", "check", **service_files)
    assert (done.returncode, done.stderr) == (0, "")
    assert "digits" in done.stdout


@pytest.mark.parametrize("words", [["models", "list", "digits"], ["history", "digits"]])
def test_a_storage_out_of_reach_is_one_sentence(
    laptop: Laptop, service_files: dict[str, str], no_storage: dict[str, str], words: Sequence[str]
) -> None:
    assert "storage_unavailable" in sentence(laptop.nightferry(*words, **service_files, **no_storage))


def test_what_would_be_released_needs_the_project(
    laptop: Laptop, service_files: dict[str, str], empty_storage: dict[str, str]
) -> None:
    given = service_files | empty_storage | {"NIGHTFERRY_BASE_IMAGE": "python@sha256:" + "a" * 64}
    assert "NIGHTFERRY_ROOT" in sentence(laptop.nightferry("release", "digits", "--dry-run", **given))


def test_publishing_says_which_extra_it_needs(laptop: Laptop, service_files: dict[str, str], model: Path) -> None:
    done = laptop.nightferry("models", "publish", "digits", str(model), **service_files)
    assert "pip install 'nightferry[onnx]'" in sentence(done)


def test_asking_the_cluster_says_which_extra_it_needs(laptop: Laptop, service_files: dict[str, str]) -> None:
    assert "pip install 'nightferry[kubernetes]'" in sentence(laptop.nightferry("url", "digits", **service_files))


def test_an_app_is_begun(laptop: Laptop, tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    done = laptop.nightferry("init", "churn", "--from", "app", "--owner", "crm", "--out", str(folder), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["folder"] == str(folder)
    template = ROOT / "plugins" / "nightferry" / "cli" / "templates" / "app"
    wanted = {str(file.relative_to(template)) for file in template.rglob("*") if "__pycache__" not in file.parts}
    made = {str(file.relative_to(folder)) for file in folder.rglob("*") if ".git" not in file.parts}
    assert made == wanted - {"gitignore"} | {".gitignore", "churn.yaml"}


def test_addresses_that_were_kept_are_used(with_onnx: Laptop, service_files: dict[str, str]) -> None:
    words = ["--services", service_files["NIGHTFERRY_SERVICES"], "--registry", "acme.azurecr.io", "--offline"]
    assert with_onnx.nightferry("login", *words).returncode == 0
    assert "digits" in with_onnx.nightferry("services", "check").stdout
    assert with_onnx.nightferry("login", "--remove", "default").returncode == 0
    assert "NIGHTFERRY_SERVICES" in sentence(with_onnx.nightferry("services", "check"))


# `up` and its like are asked in tests/unit/cli/test_installed.py, where a mistake touches no sandbox of this machine.
@pytest.mark.parametrize("command", ["status", "logs", "sample"])
def test_the_sandbox_is_for_a_checkout(laptop: Laptop, command: str) -> None:
    assert "checkout of the project" in sentence(laptop.nightferry(command))
    assert list(laptop.home.iterdir()) == []


def test_with_the_extra_a_model_is_described_by_the_service_itself(
    with_onnx: Laptop, model: Path, service_files: dict[str, str], empty_storage: dict[str, str]
) -> None:
    examples = model.with_name("examples.jsonl")
    examples.write_text('{"x": [0, 1, 0, 0]}\n', encoding="utf-8")
    words = ["models", "publish", "digits", str(model), "--examples", str(examples), "--dry-run"]
    done = with_onnx.nightferry(*words, **service_files, **empty_storage)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [one["name"] for one in document["inputs"]] == ["x"]
    (example,) = document["golden"]
    assert [output["name"] for output in example["outputs"]] == ["probabilities"]
