"""One service file's YAML: read strictly, with `${NIGHTFERRY_…}` filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nightferry.settings import how_to_set
from nightferry.steps.services.strict_yaml import YamlFault, odd, read_yaml

_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def read_service_yaml(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the file holds.

    Args:
        path: the file.
        environment: the values of `${NIGHTFERRY_…}`.

    Raises:
        YamlFault: unreadable, not YAML, not a mapping, or naming a variable that is unset.
    """
    content = read_yaml(path)
    try:
        return {str(key): _expanded(value, str(key), environment) for key, value in content.items()}
    except RecursionError as fault:  # a list that holds itself
        raise YamlFault(odd(fault)) from fault


def _expanded(value: Any, where: str, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(item, f"{where}.{key}", environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, f"{where}.{number}", environment) for number, item in enumerate(value)]
    return _VARIABLE.sub(lambda found: _value(found[1], where, environment), value) if isinstance(value, str) else value


def _value(name: str, where: str, environment: Mapping[str, str]) -> str:
    if not name.startswith("NIGHTFERRY_"):
        raise YamlFault(f"{where}: only ${{NIGHTFERRY_…}} can be used here, not ${{{name}}}")
    if not environment.get(name):
        raise YamlFault(f"{where}: {name} is not set; {how_to_set()}")
    return environment[name]
