"""An app whose requirements are a pyproject.toml, with uv's or Poetry's lock beside it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locking.fault import Fault
from locking.requirements_text import Line, normalised

LOCKS = ("uv.lock", "poetry.lock")
_COMPARED = re.compile(r"(<=|>=|==|!=|<|>)\s*([0-9.]+)")


@dataclass(frozen=True)
class Project:
    """What it asks for, and what its lock says."""

    lines: list[Line]
    constraints: list[str]
    """As `flask==3.0.1`, perhaps with a marker."""
    hashes: frozenset[str]
    """sha256 of every file that the lock names."""
    lock: str
    """Its path in the app's folder."""


def is_pyproject(name: str) -> bool:
    """Whether a contract's `requirements` names one."""
    return name.rpartition("/")[2] == "pyproject.toml"


def read_project(app: Path, name: str) -> Project:
    """Read the file and its lock.

    Raises:
        Fault: one is missing or cannot be read, or asks for what cannot be locked.
    """
    text, content = _toml(app, name)
    asks = dependencies(content)
    if not asks:
        return Project([], [], frozenset(), name)
    beside = [lock for lock in LOCKS if (app / name).with_name(lock).is_file()]
    if not beside:
        raise Fault(f"{name} has neither uv.lock nor poetry.lock beside it: add it (`uv lock` or `poetry lock`).")
    lock = str(Path(name).with_name(beside[0]))
    locked, parsed = _toml(app, lock)
    lines = [Line(name, _number(text, asked), asked) for asked in asks]
    _refuse(lines)
    own = normalised(
        str(content.get("project", {}).get("name") or content.get("tool", {}).get("poetry", {}).get("name"))
    )
    packages = [package for package in parsed.get("package", []) if normalised(package["name"]) != own]
    hashes = frozenset(re.findall(r"sha256:([0-9a-f]{64})", locked))
    return Project(lines, constraints(packages, lock), hashes, lock)


def dependencies(content: Mapping[str, Any]) -> list[str]:
    """What a pyproject.toml asks for, one requirement each."""
    project = content.get("project", {})
    if project.get("dependencies"):
        return [str(asked) for asked in project["dependencies"]]
    poetry = content.get("tool", {}).get("poetry", {}).get("dependencies", {})
    return [asked for name, value in poetry.items() if name != "python" for asked in _poetry(name, value)]


def constraints(packages: Sequence[Mapping[str, Any]], lock: str) -> list[str]:
    """The locked versions. A package that the lock has in several versions gets each with the marker that uv wrote.

    Raises:
        Fault: a package comes from a repository or a folder.
    """
    found = []
    for package in packages:
        source = package.get("source", {})
        place = next((key for key in ("git", "directory", "editable", "virtual") if key in source), None)
        if place or source.get("type") in ("git", "directory"):
            raise Fault(
                f"{lock}: {package['name']} comes from a {place or source['type']}, which cannot be locked here: build "
                "a wheel of it, put it into the app's folder, and depend on that."
            )
        if "version" not in package:
            continue
        marker = " or ".join(f"({part})" for part in package.get("resolution-markers", []))
        several = sum(normalised(other["name"]) == normalised(package["name"]) for other in packages) > 1
        if several and not marker:
            continue
        found.append(f"{package['name']}=={package['version']}" + (f" ; {marker}" if several else ""))
    return found


def _poetry(name: str, value: Any) -> list[str]:
    if isinstance(value, list):
        return [asked for each in value for asked in _poetry(name, each)]
    if not isinstance(value, dict):
        return [name]
    if value.get("optional"):
        return []
    for key in ("git", "path", "url"):
        if key in value:
            raise Fault(f"pyproject.toml: {name} comes from a {key}, which cannot be locked here: build a wheel of it.")
    extras = f"[{','.join(value['extras'])}]" if value.get("extras") else ""
    markers = [str(value["markers"])] if "markers" in value else []
    markers += [
        f"python_full_version {sign} '{version}'" for sign, version in _COMPARED.findall(value.get("python", ""))
    ]
    return [name + extras + (" ; " + " and ".join(f"({part})" for part in markers) if markers else "")]


def _refuse(lines: Sequence[Line]) -> None:
    for line in lines:
        if re.search(r"@\s*(git\+|hg\+|svn\+|bzr\+|file:)", line.text):
            raise Fault(
                f"{line.where}: {line.name} comes from a repository or a file, which cannot be locked here: build a "
                "wheel of it, put it into the app's folder and use a requirements file that names it."
            )


def _toml(app: Path, name: str) -> tuple[str, dict[str, Any]]:
    path = (app / name).resolve()
    if not path.is_relative_to(app.resolve()) or not path.is_file():
        raise Fault(f"The requirements file {name} is not in the app's folder: add it, or correct the name.")
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except ValueError as error:
        raise Fault(f"{name} is not TOML: {error}.") from error


def _number(text: str, asked: str) -> int:
    """The line that a requirement stands on; of a Poetry one, that of its name."""
    wanted = (asked, re.split(r"[\[<>=!~; @(]", asked)[0])
    for word in wanted:
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(rf"(^|[\"'\s]){re.escape(word)}", line):
                return number
    return 1
