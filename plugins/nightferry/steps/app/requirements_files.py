"""The files of an app's folder that decide its packages, and the key that they are resolved under.

What is wrong with a file is said where it is resolved, in docker/app/locking: here a file that is not there, or leads
out of the folder, is none.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from nightferry.entities.app.contract import AppContract
from nightferry.steps.app.read_contract import PROJECT

PROJECT_LOCKS = ("uv.lock", "poetry.lock")
_INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(?P<name>\"[^\"]+\"|'[^']+'|\S+)")
_FOUND_IN = re.compile(r"(?:-f|--find-links)(?:\s*=\s*|\s+|(?<=-f))(?P<name>\S+)")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")


def lock_key(app: Path, contract: AppContract, base_image: str, extra: Sequence[str] = ()) -> str:
    """sha256 (hex) over all that decides a lock.

    Args:
        app: the app's folder.
        contract: the app's.
        base_image: by digest.
        extra: requirements beside those of the app.
    """
    files = requirements_files(app, contract)
    decided = {
        "base_image": base_image,
        "extra": sorted(extra),
        "files": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()},
        "requirements": contract.requirements,
        "system": sorted(set(contract.system)),
    }
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()


def requirements_files(app: Path, contract: AppContract) -> dict[str, Path]:
    """By their path in the app's folder: the contract's requirements, what they include, and the packages that they
    name in the folder; of a pyproject.toml, with its lock."""
    root = app.resolve()
    name = contract.requirements
    if name.rpartition("/")[2] == PROJECT:
        names = [name, *(str(Path(name).with_name(lock)) for lock in PROJECT_LOCKS)]
        return {each: path for each in names if (path := _inside(root, root / each))}
    found: dict[str, Path] = {}
    waiting = [name]
    while waiting:
        each = waiting.pop()
        path = _inside(root, root / each)
        if path is None or _name(root, path) in found:
            continue
        found[_name(root, path)] = path
        for line in _lines(path):
            include = _INCLUDE.match(line)
            if include:
                waiting.append(str(path.parent.relative_to(root) / include["name"].strip("\"'")))
            for named in _named(root, path.parent, line):
                found.setdefault(_name(root, named), named)
    return dict(sorted(found.items()))


def copy_requirements(app: Path, contract: AppContract, target: Path) -> None:
    """Copy these files into `target`, so that nothing else can decide a lock."""
    for name, path in requirements_files(app, contract).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)


def _named(root: Path, beside: Path, line: str) -> Iterator[Path]:
    """The packages in the folder that a line means."""
    links = _FOUND_IN.match(line)
    word = links["name"] if links else re.split(r"[\s;\[]", line)[0]
    if "://" in word or (not links and (line.startswith("-") or not ("/" in word or word.endswith(_ARCHIVES)))):
        return
    place = (root / word).resolve()
    if links and (beside / word).exists():
        place = (beside / word).resolve()
    if place.is_dir() and links and place.is_relative_to(root):
        yield from (path for one in sorted(place.iterdir()) if (path := _inside(root, one)))
    elif path := _inside(root, place):
        yield path


def _inside(root: Path, path: Path) -> Path | None:
    """The file that a path leads to, if it is one of the folder: a link may lead anywhere on this machine."""
    real = path.resolve()
    return real if real.is_relative_to(root) and real.is_file() else None


def _name(root: Path, path: Path) -> str:
    return str(path.relative_to(root))


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    whole = re.sub(r"\\\r?\n\s*", " ", text)
    return [line for raw in whole.splitlines() if (line := re.sub(r"(^|\s)#.*$", "", raw).strip())]
