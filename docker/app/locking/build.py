"""Make the lock: build source distributions into wheels, keep those that no index has, and write lock.json."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from locking.pip_words import explain
from locking.requirements_text import Line, index_options, normalised
from locking.resolve import Artifact, Request
from locking.run import pip

SCHEMA = 1


def packages(request: Request, found: Sequence[Artifact], lines: list[Line], wheels: Path) -> list[dict[str, str]]:
    """The lock's packages; the wheels that are kept are put into `wheels`.

    Raises:
        Fault: a source distribution does not build, or a file is not to be had.
    """
    return [_package(request, item, lines, wheels) for item in found]


def write_lock(
    target: Path, base_image: str, python: str, found: Sequence[Mapping[str, str]], system: Mapping[str, str]
) -> None:
    """Write lock.json: the same content is always the same bytes."""
    lock: dict[str, Any] = {
        "schema": SCHEMA,
        "base_image": base_image,
        "python": python,
        "packages": sorted(found, key=lambda package: normalised(package["name"])),
        "system": dict(system),
    }
    text = json.dumps(lock, sort_keys=True, indent=1, ensure_ascii=False)
    target.write_text(text + "\n", encoding="utf-8")


def read_lock(folder: Path) -> dict[str, Any]:
    """lock.json of this folder."""
    content: dict[str, Any] = json.loads((folder / "lock.json").read_text(encoding="utf-8"))
    return content


def is_kept(item: Artifact) -> bool:
    """Whether the wheel is kept beside the lock: no index has it, nor the app's folder."""
    return not item.is_wheel or (bool(item.address) and not item.in_folder)


def _package(request: Request, item: Artifact, lines: list[Line], wheels: Path) -> dict[str, str]:
    package = {"name": normalised(item.name), "version": item.version}
    if not is_kept(item):
        kind = "folder" if item.in_folder else "index"
        return package | {"file": item.file, "sha256": item.sha256, "kind": kind}
    wheel = _wheel(request, item, lines, wheels)
    return package | {
        "file": wheel.name,
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "kind": "kept",
    }


def _wheel(request: Request, item: Artifact, lines: list[Line], wheels: Path) -> Path:
    """Build or download one wheel into `wheels`."""
    with tempfile.TemporaryDirectory() as private:
        asked, made = Path(private) / "asked.txt", Path(private) / "wheels"
        asked.write_text(_requirement(request, item) + "\n", encoding="utf-8")
        words = ["wheel", "--no-deps", "--use-pep517", "--progress-bar", "off", "--wheel-dir", str(made)]
        words += [] if item.is_wheel else ["--no-binary", item.name]
        done = pip([*words, *index_options(request.app, lines), "-r", str(asked)], request.app)
        if done.code != 0:
            raise explain(done.output, done.log, lines, request.python)
        built = next(made.glob("*.whl"))
        return Path(shutil.copy(built, wheels))


def _requirement(request: Request, item: Artifact) -> str:
    if item.in_folder:
        return f"./{item.file} --hash=sha256:{item.sha256}"
    if item.address:
        return f"{item.address.split('#')[0]} --hash=sha256:{item.sha256}"
    return f"{item.name}=={item.version} --hash=sha256:{item.sha256}"
