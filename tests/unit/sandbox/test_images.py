"""The sandbox's own images are built when what decides their content changed, and found otherwise.

The registry is an HTTP server that keeps names; buildctl is a script that notes its words and puts the name there.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from nightferry.errors import NightferryError
from nightferry.sandbox.build import base_image, bootstrap, images
from nightferry.sandbox.build.buildkit import Buildkit
from nightferry.sandbox.machine import packages
from nightferry.sandbox.progress import Progress

ROOT = Path(__file__).resolve().parents[3]
READER = ("__init__", "common", "files", "image", "manifest", "members", "onnx", "reader", "signature")
BUILDCTL = """#!/bin/sh
printf '%s\\n' "$@" "--end" >> {folder}/calls
{first}
while [ $# -gt 0 ]; do
    case $1 in
    --output) name=${{2#*name=}}; name=${{name%%\\"*}} ;;
    --metadata-file=*) metadata=${{1#*=}} ;;
    esac
    shift
done
digest=sha256:$(printf %s "$name" | sha256sum | cut -d' ' -f1)
mkdir -p "{folder}/pushed/$(dirname "${{name#*/}}")"
echo "$digest" > "{folder}/pushed/${{name#*/}}"
echo "{{\\"containerimage.digest\\": \\"$digest\\"}}" > "$metadata"
"""


@dataclass
class Sandbox:
    """A project, a registry, a builder."""

    root: Path
    builder: Buildkit

    def buildctl(self, first: str = "") -> None:
        self.builder.buildctl.write_text(BUILDCTL.format(folder=self.root, first=first))
        self.builder.buildctl.chmod(0o755)

    def base(self) -> str:
        return base_image.ensure(Progress(io.StringIO()), self.root, self.root / "logs", self.builder)

    def pause(self) -> str:
        progress, program = Progress(io.StringIO()), self.root / "bin" / "pause"
        return images.pause_ensure(progress, self.root, self.root / "logs", self.builder, program)

    def deployer(self, base: str = "example/base@sha256:1") -> str:
        return images.deployer_ensure(Progress(io.StringIO()), self.root, self.root / "logs", self.builder, base)

    def builds(self) -> list[list[str]]:
        """The words of each build so far."""
        calls = self.root / "calls"
        text = calls.read_text() if calls.exists() else ""
        return [call.splitlines() for call in text.split("--end\n") if call]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Address of a registry that has what is in the folder `pushed`."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            repository, _, tag = self.path.removeprefix("/v2/").partition("/manifests/")
            pushed = tmp_path / "pushed" / f"{repository}:{tag}"
            self.send_response(200 if pushed.exists() else 404)
            if pushed.exists():
                self.send_header("Docker-Content-Digest", pushed.read_text().strip())
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(int(self.path.strip("/")))
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def sandbox(tmp_path: Path, registry: str, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A project of the real Dockerfiles and a little package."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(ROOT / "docker", tmp_path / "docker")
    for name in ("clients/one.py", "deployer/__main__.py", "steps/two.py", "sandbox/three.py", "errors.py"):
        path = tmp_path / "plugins" / "nightferry" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    shutil.copytree(ROOT / "serving_app", tmp_path / "serving_app")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pause").write_text("program")
    made = Sandbox(tmp_path, Buildkit(tmp_path / "buildctl", "unix:///run/builder.sock", registry))
    made.buildctl()
    return made


def test_images_are_named_by_digest_and_built_once(sandbox: Sandbox) -> None:
    first = sandbox.pause(), sandbox.deployer()
    assert first[0].startswith(f"{sandbox.builder.registry}/nightferry/pause@sha256:")
    assert first[1].startswith(f"{sandbox.builder.registry}/nightferry/deployer@sha256:")
    assert len(sandbox.builds()) == 2
    assert (sandbox.pause(), sandbox.deployer()) == first
    assert len(sandbox.builds()) == 2


@pytest.mark.parametrize(
    "changed",
    [
        "plugins/nightferry/steps/two.py",
        "docker/deployer/requirements.txt",
        "serving_app/model_format/reader.py",
    ],
)
def test_a_changed_input_makes_a_new_deployer(sandbox: Sandbox, changed: str) -> None:
    first, pause = sandbox.deployer(), sandbox.pause()
    (sandbox.root / changed).write_text("changed = True\n")
    assert sandbox.deployer() != first
    assert sandbox.pause() == pause


def test_another_base_makes_a_new_deployer(sandbox: Sandbox) -> None:
    assert sandbox.deployer("example/base@sha256:2") != sandbox.deployer()


def test_what_the_deployer_leaves_out_does_not_change_it(sandbox: Sandbox) -> None:
    first = sandbox.deployer()
    (sandbox.root / "plugins/nightferry/sandbox/three.py").write_text("changed = True\n")
    (sandbox.root / "serving_app/app.py").write_text("changed = True\n")
    compiled = sandbox.root / "plugins/nightferry/steps/__pycache__/two.pyc"
    compiled.parent.mkdir()
    compiled.write_text("compiled")
    assert sandbox.deployer() == first


def test_the_deployer_gets_its_packages_and_no_others(sandbox: Sandbox) -> None:
    sandbox.buildctl(f'for word; do case $word in context=*) cp -r "${{word#*=}}" {sandbox.root}/seen ;; esac; done')
    sandbox.deployer()
    seen = sandbox.root / "seen"
    assert {path.relative_to(seen).as_posix() for path in seen.rglob("*") if path.is_file()} == {
        "Dockerfile",
        "requirements.txt",
        "nightferry/clients/one.py",
        "nightferry/deployer/__main__.py",
        "nightferry/errors.py",
        "nightferry/steps/two.py",
        "serving_app/__init__.py",
        *(f"serving_app/model_format/{name}.py" for name in READER),
    }
    # A pod that has no more than that reads model.json.
    read = f"import sys; sys.path[:0] = [{str(seen)!r}]; import serving_app.model_format"
    subprocess.run([sys.executable, "-I", "-S", "-c", read], check=True)


def test_a_build_says_where_to_push_and_hands_over_the_secrets(sandbox: Sandbox) -> None:
    sandbox.deployer()
    words = sandbox.builds()[-1]
    assert words[:3] == ["--addr", "unix:///run/builder.sock", "build"]
    assert any(word.startswith("id=pipconf,src=") for word in words)
    assert "build-arg:BASE_IMAGE=example/base@sha256:1" in words
    output = words[words.index("--output") + 1]
    assert f'"name={sandbox.builder.registry}/nightferry/deployer:inputs-' in output


def test_a_failed_build_names_its_log(sandbox: Sandbox) -> None:
    sandbox.buildctl("exit 1")
    with pytest.raises(NightferryError, match=r"build-pause-image\.log"):
        sandbox.pause()


def test_the_public_base_is_copied_where_it_can_be_pulled(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_image, "PUBLIC_REGISTRY", f"http://{sandbox.builder.registry}/401")
    first = sandbox.base()
    assert any(base_image.PUBLIC_TAG in word for word in sandbox.builds()[0])

    monkeypatch.setattr(base_image, "PUBLIC_REGISTRY", f"http://{sandbox.builder.registry}/403")
    assert sandbox.base() == first, "what is there stays in use when the public registry is away"


def test_a_base_is_made_where_none_can_be_pulled(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_image, "PUBLIC_REGISTRY", f"http://{sandbox.builder.registry}/403")
    monkeypatch.setattr(bootstrap, "_bootstrap", lambda *words: (words[-1] / "base.tar").write_text("made"))
    monkeypatch.setattr(packages, "missing", lambda names: [])
    sandbox.buildctl(
        f'for word; do case $word in context=*) cp "${{word#*=}}/base.tar" {sandbox.root}/seen ;; esac; done'
    )
    assert sandbox.base().startswith(f"{sandbox.builder.registry}/nightferry/base@sha256:")
    assert (sandbox.root / "seen").read_text() == "made"


def test_a_base_is_made_when_pulling_breaks_off(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_image, "PUBLIC_REGISTRY", f"http://{sandbox.builder.registry}/401")
    monkeypatch.setattr(bootstrap, "_bootstrap", lambda *words: (words[-1] / "base.tar").write_text("made"))
    monkeypatch.setattr(packages, "missing", lambda names: [])
    sandbox.buildctl(f'case "$*" in *{base_image.PUBLIC_TAG}*) exit 1 ;; esac')
    sandbox.base()
    assert base_image.PUBLIC_TAG not in " ".join(sandbox.builds()[-1])
    assert not list((sandbox.root / "pushed").rglob(f"*{base_image.PUBLIC_TAG}*"))


def test_another_recipe_makes_another_base(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_image, "PUBLIC_REGISTRY", f"http://{sandbox.builder.registry}/403")
    monkeypatch.setattr(bootstrap, "_bootstrap", lambda *words: (words[-1] / "base.tar").write_text("made"))
    monkeypatch.setattr(packages, "missing", lambda names: [])
    first = sandbox.base()
    monkeypatch.setattr(bootstrap, "LEFT_OUT", ())
    assert sandbox.base() != first


@pytest.mark.parametrize(("status", "answers"), [(200, True), (401, True), (403, False), (503, False)])
def test_a_registry_is_reachable_when_it_answers_as_one(registry: str, status: int, answers: bool) -> None:
    assert base_image.reachable(f"http://{registry}/{status}") is answers


def test_nothing_that_listens_is_not_reachable(registry: str) -> None:
    host = registry.rpartition(":")[0]
    assert base_image.reachable(f"http://{host}:1/v2/") is False


def test_credentials_of_the_registry_reach_buildctl_and_its_words_do_not_hold_them(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    auth = tmp_path / "auth.json"
    auth.write_text(json.dumps({"auths": {sandbox.builder.registry: {"auth": "dXNlcjpzZWNyZXQ="}}}))
    sandbox.builder = replace(sandbox.builder, registry=f"{sandbox.builder.registry}/team", auth_file=auth)
    sandbox.buildctl(f'cp "$DOCKER_CONFIG/config.json" {tmp_path}/seen')
    assert sandbox.pause().startswith(f"{sandbox.builder.registry}/nightferry/pause@sha256:")
    assert (tmp_path / "seen").read_text() == auth.read_text()
    assert "dXNlcjpzZWNyZXQ=" not in (tmp_path / "calls").read_text()


def test_every_default_base_is_the_one_that_is_pulled() -> None:
    dockerfile = (ROOT / "docker" / "deployer" / "Dockerfile").read_text()
    assert f"ARG BASE_IMAGE={base_image.PUBLIC}\n" in dockerfile
    assert len(base_image.PUBLIC.rpartition("@sha256:")[2]) == len(hashlib.sha256().hexdigest())
