"""Read an app's contract, and say what is wrong with the app, with file and line."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from nightferry.entities.app.contract import CONTRACT, AppContract
from nightferry.entities.app.written import Written
from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.app.flask_app import default_start
from nightferry.steps.services.strict_yaml import YamlFault, lines_of, read_yaml

LARGEST = 64 * 1024
"""Bytes: the contract is in every decision of the record, for ever."""
REQUIREMENTS, PROJECT = "requirements.txt", "pyproject.toml"


def read_contract(app: Path) -> AppContract:
    """The contract of the app in this folder, with what it left out filled in.

    Args:
        app: the app's folder, as committed.

    Raises:
        Permanent: (app_contract_invalid) the file, or what it names in the folder, is wrong.
    """
    written = _written(app / CONTRACT)
    for key in ("dockerfile", "requirements", "test_requirements"):
        name = getattr(written, key)
        if name is not None and not (app / name).is_file():
            raise invalid(f"{CONTRACT}: {key}: there is no file {name} in the app's folder")
    if not (app / written.folder).is_dir():
        raise invalid(f"{CONTRACT}: folder: there is no folder {written.folder} in the app's folder")
    start = written.start or (() if written.dockerfile else default_start(app / written.folder, written.port))
    known = written.model_dump(exclude={"recipe", "start", "requirements", "test", "checks"})
    return AppContract(
        **known,
        requirements=written.requirements or _requirements(app),
        start=start,
        test=written.test or (),
        checks=written.checks,
    )


def invalid(fact: str) -> Permanent:
    """The failure of an app that is not as its contract should say."""
    return Permanent(Reason.APP_CONTRACT_INVALID, f"{fact}.")


def _requirements(app: Path) -> str:
    return PROJECT if not (app / REQUIREMENTS).is_file() and (app / PROJECT).is_file() else REQUIREMENTS


def _written(file: Path) -> Written:
    if not file.is_file():
        return Written()
    try:
        if file.stat().st_size > LARGEST:
            raise YamlFault(f"it has more than {LARGEST} bytes")
        content = read_yaml(file, "start")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(file.read_text(encoding="utf-8"))):
            raise YamlFault("it has an alias (*name); write the value again")
    except YamlFault as fault:
        raise invalid(f"{CONTRACT}: {fault}") from fault
    try:
        return Written.model_validate(content)
    except ValidationError as fault:
        lines = lines_of(file)
        said = [f"line {_line(lines, one)}: {one}" if _line(lines, one) else one for one in problems(fault)]
        raise invalid(f"{CONTRACT}: {'; '.join(said)}") from fault


def _line(lines: dict[str, int], problem: str) -> int:
    """The line of the innermost key that a problem names: `checks.0.request.json: …`."""
    path = problem.partition(":")[0]
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path, 0)
