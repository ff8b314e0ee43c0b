"""Resolve an app's requirements with pip: which files would be installed on this base."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from locking.fault import Fault
from locking.pip_words import explain, needs_tools
from locking.pyproject import Project, is_pyproject, read_project
from locking.requirements_text import Line, index_options, is_hashed, normalised, read
from locking.run import pip


@dataclass(frozen=True)
class Request:
    """What is to be locked."""

    app: Path
    requirements: str
    optional: bool
    """An app without the file has no packages."""
    extra: tuple[str, ...] = ()
    """Requirements beside those of the app."""
    python: str = "3.11"


@dataclass(frozen=True)
class Artifact:
    """A file that pip would install."""

    name: str
    version: str
    file: str
    """Its name; of one in the app's folder, its path there."""
    sha256: str
    address: str = ""
    """Where it comes from, if that is no index; never written into a lock."""
    in_folder: bool = False

    @property
    def is_wheel(self) -> bool:
        """Not a source distribution."""
        return self.file.endswith(".whl")


@dataclass(frozen=True)
class Resolved:
    """pip's answer. `tools`: it has none before a compiler is there."""

    artifacts: tuple[Artifact, ...] = ()
    tools: bool = False
    system: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """To be read by the next stage."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Resolved:
        """What `to_json` wrote."""
        value = json.loads(text)
        return Resolved(tuple(Artifact(**one) for one in value["artifacts"]), value["tools"], value["system"])


def resolve(request: Request, *, with_tools: bool = False) -> Resolved:
    """Ask pip.

    Raises:
        Fault: what is wrong with the requirements; temporary when an index does not answer.
    """
    project = read_project(request.app, request.requirements) if is_pyproject(request.requirements) else None
    lines = project.lines if project else requirement_lines(request)
    found = _asked(request, lines, project, with_tools)
    if found is None:
        return Resolved(tools=True)
    if project:
        _check_locked(found, project)
    extra = [one for one in request.extra if normalised(one) not in {normalised(item.name) for item in found}]
    if extra and (project or is_hashed(lines)):
        held = [f"{item.name}=={item.version}" for item in found]
        more = _pip(request, [*index_options(request.app, lines), *extra], held, lines, with_tools)
        if more is None:
            return Resolved(tools=True)
        known = {normalised(item.name) for item in found}
        found += [item for item in more if normalised(item.name) not in known]
    return Resolved(tuple(sorted(found, key=lambda item: normalised(item.name))))


def requirement_lines(request: Request) -> list[Line]:
    """The lines of the requirements file; none where it may be missing and is. Raises Fault as `read`."""
    if request.optional and not (request.app / request.requirements).is_file():
        return []
    return read(request.app, request.requirements)


def artifacts(report: dict[str, Any], app: Path) -> list[Artifact]:
    """What pip's report says would be installed.

    Raises:
        Fault: of a file there is no sha256.
    """
    found = []
    for item in report["install"]:
        info, data = item["download_info"], item["metadata"]
        archive = info.get("archive_info", {})
        sha256 = archive.get("hashes", {}).get("sha256") or archive.get("hash", "").removeprefix("sha256=")
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise Fault(
                f"{data['name']} {data['version']} comes without a sha256: use an index or a file that has one."
            )
        parts = urlsplit(info["url"])
        path = Path(unquote(parts.path))
        in_folder = parts.scheme == "file" and path.is_relative_to(app)
        file = str(path.relative_to(app)) if in_folder else path.name
        address = info["url"] if item.get("is_direct") or parts.scheme == "file" else ""
        found.append(Artifact(data["name"], data["version"], file, sha256, address, in_folder))
    return found


def _asked(request: Request, lines: list[Line], project: Project | None, tools: bool) -> list[Artifact] | None:
    """The app's own requirements, with the extra ones where pip takes both at once."""
    if project:
        with tempfile.TemporaryDirectory() as private:
            asked = Path(private) / "pyproject.txt"
            asked.write_text("\n".join(line.text for line in lines) + "\n")
            return _pip(request, ["-r", str(asked)], project.constraints, lines, tools) if lines else []
    words = ["-r", request.requirements] if lines else []
    words += [] if is_hashed(lines) else list(request.extra)
    return _pip(request, words, [], lines, tools) if words else []


def _pip(
    request: Request, words: Sequence[str], constraints: Sequence[str], lines: list[Line], tools: bool
) -> list[Artifact] | None:
    """None: a source distribution does not say what it is, which may be for lack of a compiler."""
    with tempfile.TemporaryDirectory() as private:
        report, held = Path(private) / "report.json", Path(private) / "constraints.txt"
        held.write_text("\n".join(constraints) + "\n")
        options = ["--dry-run", "--ignore-installed", "--use-pep517", "--progress-bar", "off", "--report", str(report)]
        options += ["-c", str(held)] if constraints else []
        done = pip(["install", *options, *words], request.app)
        if done.code == 0:
            return artifacts(json.loads(report.read_text(encoding="utf-8")), request.app)
    if needs_tools(done.output) and not tools:
        return None
    raise explain(done.output, done.log, lines, request.python)


def _check_locked(found: Sequence[Artifact], project: Project) -> None:
    for item in found:
        if item.sha256 not in project.hashes:
            raise Fault(
                f"{project.lock} does not have {item.file} of {item.name} {item.version}: it is older than "
                f"{project.lines[0].file}, or was made with another index; lock again (`uv lock` or `poetry lock`)."
            )
