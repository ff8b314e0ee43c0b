"""Serve an app in an environment of Python's own: quick, and near enough while one writes it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry import settings as settings_of
from nightferry.cli.apps.served import Served, refuse_taken
from nightferry.cli.apps.staged import Model
from nightferry.entities.app.contract import CONTRACT, AppContract
from nightferry.entities.app.written import image_path
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.app.dockerfile import write_links
from nightferry.steps.app.pin_app import extra_packages
from nightferry.steps.app.read_contract import PROJECT
from nightferry.steps.app.requirements_files import lock_key

KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
LAST = 4000
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+|host='[^']*'", re.IGNORECASE)
"""Of a package index: it may hold a password."""


@contextmanager
def served_in_python(contract: AppContract, folder: Path, model: Model, wanted: int | None) -> Iterator[Served]:
    """The app of `folder/app` with the model of `folder/model`, until the block ends.

    Raises:
        Permanent: (request_invalid: it can only be served in its image, or on its own port; app_requirements_wrong)
    """
    if contract.dockerfile:
        raise _only_in_image(f"its own {contract.dockerfile} says how it is made")
    port = wanted or contract.port
    if port != contract.port:
        raise _only_in_image(f"its command names the port {contract.port}")
    refuse_taken(port, "end what listens there, or leave --no-image out and name another one with --port")
    programs = _environment(contract, folder / "app") / "bin"
    _place_model(contract, folder, model)
    home = folder / "home"
    home.mkdir()
    work = folder / image_path(contract.folder).lstrip("/")
    variables = {name: os.environ[name] for name in KEPT if name in os.environ}
    variables |= {"PYTHONPATH": str(work), "HOME": str(home), "TMPDIR": str(home), "MODEL_DIR": str(folder / "model")}
    variables |= contract.environment | {"PATH": f"{programs}{os.pathsep}{variables.get('PATH', '')}"}
    log = folder / "said.log"
    with log.open("w", encoding="utf-8") as out:
        program = programs / contract.start[0]
        words = [str(program) if program.is_file() else contract.start[0], *contract.start[1:]]
        try:
            process = subprocess.Popen(words, cwd=work, env=variables, stdout=out, stderr=subprocess.STDOUT)
        except OSError as fault:
            raise Permanent(
                Reason.APP_CONTRACT_INVALID, f"{CONTRACT}: start: {contract.start[0]}: {fault.strerror}."
            ) from fault
    try:
        yield Served(
            f"http://127.0.0.1:{port}",
            lambda: log.read_text(encoding="utf-8", errors="replace")[-LAST:],
            process.wait,
            lambda: process.poll() is not None,
        )
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            print("The app went on after SIGTERM; a release would be refused for that.", file=sys.stderr)


def _environment(contract: AppContract, app: Path) -> Path:
    """The environment with what the app asks for; made once for each content of its requirements."""
    if contract.requirements.rpartition("/")[2] == PROJECT:
        raise _only_in_image(f"pip does not read the lock beside its {PROJECT}")
    requirements = app / contract.requirements
    extra = extra_packages(contract)
    key = lock_key(app, contract, sys.version, extra)
    digest = hashlib.sha256(f"{key} {sys.executable}".encode()).hexdigest()[:16]
    place = settings_of.load().work / "environments" / digest
    ready = place / ".ready"
    if ready.is_file():
        return place
    print("Installing what the app asks for…", file=sys.stderr)
    venv.create(place, with_pip=True, clear=True)
    asked = ["-r", str(requirements)] if requirements.is_file() else []
    words = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *asked, *extra]
    if asked or extra:
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=app)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
            why = _ADDRESS.sub("…", said[0].removeprefix("ERROR: ").rstrip("."))
            raise Permanent(Reason.APP_REQUIREMENTS_WRONG, f"{contract.requirements}: {why}.")
    ready.touch()
    return place


def _place_model(contract: AppContract, folder: Path, model: Model) -> None:
    if contract.model_at is None or not model.files:
        return
    at = image_path(contract.model_at)
    if not at.startswith("/app/"):
        raise _only_in_image(f"it opens its model at {at}")
    try:
        write_links(contract, model.model, model.files, folder, root=str(folder / "model"))
    except OSError as fault:  # a folder of the app where the model is to be a file, or the other way round
        raise Permanent(
            Reason.APP_CONTRACT_INVALID,
            f"{CONTRACT}: model_at: no model can be put at {contract.model_at}, where the app itself has something.",
        ) from fault


def _only_in_image(why: str) -> Permanent:
    return Permanent(
        Reason.REQUEST_INVALID, f"The app can only be served in its image, as {why}; leave --no-image out."
    )
