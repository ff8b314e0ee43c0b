"""Read requirements files as pip does, as far as has to be known: what each line is and where it stands.

What pip would fetch from elsewhere than an index, and what no lock could repeat, is refused here.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from locking.fault import Fault

_COMMENT = re.compile(r"(^|\s)#.*$")
_INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(?P<name>\S.*)")
_EDITABLE = re.compile(r"(-e|--editable)(\b|=|\s)")
_INDEX = re.compile(
    r"(?P<option>-i|--index-url|--pypi-url|--extra-index-url|--no-index|-f|--find-links|--trusted-host)"
    r"(?:\s*=\s*|\s+|(?<=-[if])|$)(?P<value>\S*)"
)
_FIND = ("-f", "--find-links")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION_CONTROL = re.compile(r"(^|@\s*)(git|hg|svn|bzr)\+")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")


@dataclass(frozen=True)
class Line:
    """A logical line."""

    file: str
    """Its path in the app's folder."""
    number: int
    """Of its first physical line."""
    text: str

    @property
    def where(self) -> str:
        """As `requirements.txt:3`."""
        return f"{self.file}:{self.number}"

    @property
    def name(self) -> str:
        """The package that it asks for, normalised; empty when it is an option or a path."""
        if self.text.startswith("-") or is_path(self.text):
            return ""
        found = _NAME.match(self.text)
        return normalised(found.group()) if found else ""


def normalised(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(app: Path, name: str) -> list[Line]:
    """The lines of a requirements file and of all that it includes, in the order that pip meets them.

    Raises:
        Fault: a file is not there, or a line asks for what cannot be locked.
    """
    lines: list[Line] = []
    _follow(app.resolve(), name, None, lines, set())
    return lines


def is_hashed(lines: list[Line]) -> bool:
    """Whether pip will ask for the hash of everything."""
    return any(re.search(r"\s--hash[= ]|^--require-hashes", line.text) for line in lines)


def index_options(app: Path, lines: list[Line]) -> list[str]:
    """pip's words for where packages come from, as the app's own files give them."""
    words: list[str] = []
    for line in lines:
        found = _INDEX.match(line.text)
        if not found:
            continue
        value = found["value"]
        if found["option"] in _FIND and "://" not in value:
            beside = app / Path(line.file).parent / value
            value = str(beside if beside.exists() else app / value)
        words += [found["option"], value] if value else [found["option"]]
    return words


def deciding_files(app: Path, lines: list[Line]) -> list[str]:
    """The files of the app's folder that these lines are, name, or look for packages in."""
    found = {line.file for line in lines}
    options = index_options(app, lines)
    folders = [Path(value) for option, value in itertools.pairwise(options) if option in _FIND]
    paths = [app / _path(line.text) for line in lines if not line.text.startswith("-") and is_path(line.text)]
    for place in (*folders, *paths):
        inside = place.resolve()
        if inside.is_relative_to(app.resolve()):
            files = [inside] if inside.is_file() else [path for path in sorted(inside.glob("*")) if path.is_file()]
            found |= {str(path.relative_to(app.resolve())) for path in files}
    return sorted(found)


def is_path(text: str) -> bool:
    """Whether a requirement is a file or folder, as pip sees it."""
    first = text.split(";")[0].split()[0] if text.split() else ""
    return "://" not in first and (first.startswith((".", "/")) or "/" in first or first.endswith(_ARCHIVES))


def _follow(app: Path, name: str, asked: Line | None, lines: list[Line], seen: set[str]) -> None:
    path = (app / name).resolve()
    if not path.is_relative_to(app) or not path.is_file():
        by = f"{asked.where} includes {name}, which" if asked else f"The requirements file {name}"
        raise Fault(f"{by} is not in the app's folder: add it, or correct the name.")
    relative = str(path.relative_to(app))
    if relative in seen:
        return
    seen.add(relative)
    for line in _logical(path, relative):
        lines.append(line)
        include = _INCLUDE.match(line.text)
        if include:
            word = include["name"].strip().strip("\"'")
            if "://" in word:
                raise Fault(f"{line.where} includes a file from an address: copy it into the app's folder.")
            _follow(app, str(Path(relative).parent / word), line, lines, seen)
        else:
            _check(app, line)


def _logical(path: Path, relative: str) -> list[Line]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Fault(f"{relative} is not UTF-8 text: save it as such.") from error
    found: list[Line] = []
    begun, number = "", 0
    for at, physical in enumerate(text.splitlines(), 1):
        if not begun:
            number = at
        cut = _COMMENT.sub("", physical)
        if cut.endswith("\\"):
            begun += cut[:-1].strip() + " "
            continue
        whole = (begun + cut.strip()).strip()
        begun = ""
        if whole:
            found.append(Line(relative, number, whole))
    if begun.strip():
        found.append(Line(relative, number, begun.strip()))
    return found


def _check(app: Path, line: Line) -> None:
    text = line.text
    if _EDITABLE.match(text):
        raise Fault(
            f"{line.where}: {text}: an editable package cannot be locked; the app's folder is where the app is started "
            "from, so its own modules are found without it: remove the line, and name what it depends on."
        )
    if _VERSION_CONTROL.search(text):
        raise Fault(
            f"{line.where}: {text.split()[0]}: a package from a repository cannot be locked; build a wheel of it, put "
            "it into the app's folder and name it there, as ./wheels/NAME.whl."
        )
    if re.search(r"(^|@\s*)file:", text):
        raise Fault(f"{line.where}: {text}: name a file by its path in the app's folder, as ./wheels/NAME.whl.")
    if not text.startswith("-") and is_path(text):
        _check_path(app, line, _path(text))


def _path(text: str) -> str:
    return re.split(r"[\s;\[]", text)[0]


def _check_path(app: Path, line: Line, name: str) -> None:
    path = (app / name).resolve()
    if not path.is_relative_to(app) or not path.exists():
        raise Fault(f"{line.where} names {name}, which is not in the app's folder: add it, or correct the name.")
    if path.is_dir():
        raise Fault(
            f"{line.where}: {name} is a folder, which cannot be locked; "
            + (
                "the app's own modules are found without it: remove the line."
                if path == app
                else "build a wheel of it, and name the wheel, as ./wheels/NAME.whl."
            )
        )
