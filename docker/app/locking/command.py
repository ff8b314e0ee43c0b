"""The modes of lock.py. What varies comes as variables, the Dockerfile's arguments:

BASE_IMAGE             the base, written into the lock
REQUIREMENTS           the contract's `requirements`, a path in the app's folder
REQUIREMENTS_OPTIONAL  not empty: an app without that file has no packages
EXTRA                  requirements beside those, with spaces between
SYSTEM                 the contract's `system`, with spaces between
TEST_REQUIREMENTS      the contract's `test_requirements`
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from locking import build, system
from locking.fault import Fault
from locking.install import install, install_tests
from locking.pyproject import LOCKS, is_pyproject
from locking.requirements_text import Line, deciding_files, read
from locking.resolve import Request, Resolved, requirement_lines, resolve

APP = Path("/app")
GATHERED = Path("/requirements")
LOCK = Path("/lock")
OUT = Path("/out")
STATE = Path("/state/resolved.json")
RECIPE = Path(__file__).parents[1]


def main() -> None:
    """Run the mode that is named. What is wrong is printed as one line with a mark."""
    modes = {
        "gather": _gather,
        "resolve": _resolve,
        "build": _build,
        "install": _install,
        "system": _system,
        "tests": _tests,
    }
    try:
        modes[sys.argv[1]]()
    except Fault as fault:
        sys.stdout.flush()
        print("\n" + fault.line(), flush=True)
        sys.exit(1)


def _request(*, optional: bool = False) -> Request:
    return Request(
        app=APP,
        requirements=_variable("REQUIREMENTS") or "requirements.txt",
        optional=optional or bool(_variable("REQUIREMENTS_OPTIONAL")),
        extra=tuple(_variable("EXTRA").split()),
        python=f"{sys.version_info[0]}.{sys.version_info[1]}",
    )


def _gather() -> None:
    """/app -> /requirements: the files that decide its packages, and none that changes with each commit."""
    names = {name for name in (_variable("REQUIREMENTS") or "requirements.txt", _variable("TEST_REQUIREMENTS")) if name}
    found: set[str] = set()
    for name in sorted(names):
        if is_pyproject(name):
            found |= {str(Path(name).with_name(file)) for file in (Path(name).name, *LOCKS)}
        elif (APP / name).is_file():
            found |= set(deciding_files(APP, read(APP, name)))
    GATHERED.mkdir()
    for name in sorted(found):
        if (APP / name).is_file():
            (GATHERED / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(APP / name, GATHERED / name)


def _resolve() -> None:
    """Requirements -> /state/resolved.json."""
    resolved = resolve(_request())
    brought = system.closure(_variable("SYSTEM").split())
    STATE.parent.mkdir(exist_ok=True)
    STATE.write_text(Resolved(resolved.artifacts, resolved.tools, brought).to_json(), encoding="utf-8")


def _build() -> None:
    """/state/resolved.json -> /out/lock.json and /out/wheels."""
    request = _request()
    resolved = Resolved.from_json(STATE.read_text(encoding="utf-8"))
    found = resolved.artifacts
    if resolved.tools or not all(item.is_wheel for item in found):
        system.install_tools(_variable("SYSTEM").split())
    if resolved.tools:
        found = resolve(request, with_tools=True).artifacts
    wheels = OUT / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    packages = build.packages(request, found, _lines(request), wheels)
    build.write_lock(OUT / "lock.json", _variable("BASE_IMAGE"), request.python, packages, resolved.system)


def _install() -> None:
    """/lock -> /opt/venv."""
    request = _request(optional=True)  # the lock says what there is
    install(LOCK, request, _lines(request))


def _system() -> None:
    """/lock/lock.json -> the distribution's packages."""
    system.install_locked(build.read_lock(LOCK)["system"])


def _tests() -> None:
    """/opt/test, beside /opt/venv."""
    install_tests(LOCK, APP, _variable("TEST_REQUIREMENTS"), RECIPE / "requirements-test.txt", Path("/opt/test"))


def _lines(request: Request) -> list[Line]:
    return [] if is_pyproject(request.requirements) else requirement_lines(request)


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()
