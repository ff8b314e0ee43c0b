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
from nightferry.masking import mask, secrets_in
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
    contract = AppContract(
        **known,
        requirements=written.requirements or _requirements(app),
        start=start,
        test=written.test or (),
        checks=written.checks,
    )
    _check_recordable(contract, app / CONTRACT)
    return contract


def invalid(fact: str) -> Permanent:
    """The failure of an app that is not as its contract should say."""
    return Permanent(Reason.APP_CONTRACT_INVALID, f"{fact}.")


def _check_recordable(contract: AppContract, file: Path) -> None:
    """The decision holds all of it, with its secrets masked: what then is asked and started was another thing."""
    keys = [
        f"checks.{number}.request.headers"
        for number, check in enumerate(contract.checks)
        if any(mask(f"{name}={value}") != f"{name}={value}" for name, value in check.request.headers.items())
    ]
    try:
        keys += secrets_in(contract.to_json())
    except ValueError as fault:
        raise invalid(f"{CONTRACT}: {_at(file, 'checks: it is nested too deeply')}") from fault
    if keys:
        why = "it holds a password, key or token, which would be on record; keep it out"
        raise invalid(f"{CONTRACT}: {_at(file, f'{keys[0]}: {why}')}")


def _requirements(app: Path) -> str:
    return PROJECT if not (app / REQUIREMENTS).is_file() and (app / PROJECT).is_file() else REQUIREMENTS


def _written(file: Path) -> Written:
    if not file.is_file():
        return Written()
    try:
        if file.stat().st_size > LARGEST:
            raise YamlFault(f"it has more than {LARGEST} bytes")
        content = read_yaml(file, "start", empty=True)
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(file.read_text(encoding="utf-8"))):
            raise YamlFault("it has an alias (*name); write the value again")
    except YamlFault as fault:
        raise invalid(f"{CONTRACT}: {fault}") from fault
    try:
        return Written.model_validate(content)
    except ValidationError as fault:
        said = [_at(file, one) for one in problems(fault)]
        raise invalid(f"{CONTRACT}: {'; '.join(said)}") from fault


def _at(file: Path, problem: str) -> str:
    """A problem with its line, if that is known."""
    try:
        line = _line(lines_of(file), problem)
    except RecursionError:
        line = 0
    return f"line {line}: {problem}" if line else problem


def _line(lines: dict[str, int], problem: str) -> int:
    """The line of the innermost key that a problem names: `checks.0.request.json: …`."""
    path = problem.partition(":")[0]
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path, 0)
