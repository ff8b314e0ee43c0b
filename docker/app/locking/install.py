"""Install what a lock names, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Container
from pathlib import Path
from typing import Any

from locking.build import read_lock
from locking.fault import RENEW, Fault
from locking.pip_words import explain
from locking.requirements_text import Line, index_options, normalised, read
from locking.resolve import Request
from locking.run import EPOCH, Done, pip

PYTHON = "/opt/venv/bin/python3"
ONLY_THIS = ("--no-deps", "--no-compile", "--progress-bar", "off", "--no-warn-script-location")
_GONE = re.compile(
    r"Could not find a version that satisfies the requirement (?P<name>[^\s=]+)==(?P<version>\S+)"
    r"|DO NOT MATCH THE HASHES.*?\n\s+(?P<also>[^\s=]+)==(?P<its>\S+)",
    re.DOTALL,
)


def install(lock: Path, request: Request, lines: list[Line]) -> None:
    """Fill /opt/venv with the packages of the lock in this folder. Raises Fault."""
    packages = read_lock(lock)["packages"]
    subprocess.run(["python3", "-m", "venv", "--without-pip", "/opt/venv"], check=True)
    if packages:
        _install(packages, lock, request, lines)
    compile_all(Path("/opt/venv/lib"))


def requirements(packages: list[dict[str, Any]], lock: Path, app: Path) -> str:
    """The text of a requirements file that names just these wheels, by their hash.

    Raises:
        Fault: a wheel of the app's folder is gone.
    """
    found = []
    for package in packages:
        asked = f"{package['name']}=={package['version']}"
        if package["kind"] == "folder":
            wheel = app / package["file"]
            if not wheel.is_file():
                raise Fault(f"The app's folder has no {package['file']} any longer; {RENEW}")
            asked = str(wheel)
        elif package["kind"] == "kept":
            asked = str(lock / "wheels" / package["file"])
        found.append(f"{asked} --hash=sha256:{package['sha256']}")
    return "\n".join([*found, ""])


def compile_all(folder: Path) -> None:
    """Bytecode that names neither times nor hash order is the same in each build. Files that are no Python of this
    version are left alone: packages carry such as templates and tests."""
    command = ["python3", "-m", "compileall", "-qq", "-j", "1", "--invalidation-mode", "unchecked-hash", str(folder)]
    subprocess.run(
        command,
        check=False,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": EPOCH},
    )


def install_tests(lock: Path, app: Path, name: str, pinned: Path, target: Path) -> None:
    """Put into `target` what unit tests need and the app does not have itself: what the app's file names, else the
    pinned pytest. So tests run with the packages that serve.

    Raises:
        Fault: as pip finds it.
    """
    content = read_lock(lock)
    has = {package["name"]: package["version"] for package in content["packages"]}
    with tempfile.TemporaryDirectory() as private:
        held, prefix = Path(private) / "constraints.txt", Path(private) / "prefix"
        held.write_text("".join(f"{package}=={version}\n" for package, version in has.items()))
        if name:
            _into(prefix, ["-c", str(held), "-r", name], app, read(app, name), content["python"])
        if "pytest" not in has and not list(prefix.rglob("pytest/__init__.py")):
            asked = Path(private) / "asked.txt"
            asked.write_text(without(pinned.read_text(encoding="utf-8"), has))
            _into(prefix, ["--no-deps", "--require-hashes", "-r", str(asked)], app, [], content["python"])
        target.mkdir()
        for packages in (*prefix.glob("**/site-packages"), *prefix.glob("**/dist-packages")):
            shutil.copytree(packages, target, dirs_exist_ok=True, symlinks=True)
        for scripts in prefix.glob("**/bin"):
            shutil.copytree(scripts, target / "bin", dirs_exist_ok=True, symlinks=True)


def without(pinned: str, has: Container[str]) -> str:
    """The text of a requirements file with hashes, without the packages that are there already."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", pinned, flags=re.MULTILINE)
    return "".join(block for block in blocks if normalised(re.split(r"[=\s]", block)[0]) not in has)


def _into(prefix: Path, words: list[str], app: Path, lines: list[Line], python: str) -> None:
    """What is in /opt/venv counts as installed."""
    options = ["--no-compile", "--progress-bar", "off", "--no-warn-script-location", "--prefix", str(prefix)]
    done = pip(["install", *options, *words], app, PYTHON)
    if done.code != 0:
        raise explain(done.output, done.log, lines, python)


def _install(packages: list[dict[str, Any]], lock: Path, request: Request, lines: list[Line]) -> None:
    with tempfile.TemporaryDirectory() as private:
        asked = Path(private) / "locked.txt"
        asked.write_text(requirements(packages, lock, request.app), encoding="utf-8")
        words = [*ONLY_THIS, "--require-hashes", "--only-binary", ":all:", *index_options(request.app, lines)]
        done = pip(["install", *words, "-r", str(asked)], request.app, PYTHON)
    if done.code != 0:
        raise gone(done, lines, request.python)


def gone(done: Done, lines: list[Line], python: str) -> Fault:
    """The fault of an installation from a lock: as a rule, that the index has a package no longer."""
    fault = explain(done.output, done.log, lines, python)
    found = _GONE.search(done.output)
    if fault.temporary or not found:
        return fault
    name, version = found["name"] or found["also"], found["version"] or found["its"]
    return Fault(f"The package index no longer has {name} {version} as it was locked; {RENEW}")
