"""One service file's YAML: read strictly, with `${NIGHTFERRY_…}` filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nightferry.settings import how_to_set

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ServiceFileFault(ValueError):
    """What is wrong with the file, and where."""


class _Loader(_Base):  # type: ignore[misc]
    """YAML without its surprises: a key given twice is an error, not the last one's victory."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise ServiceFileFault(f"line {key.start_mark.line + 1}: the key {key.value!r} is given twice")
            seen.add(str(key.value))
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def read_service_yaml(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the file holds.

    Args:
        path: the file.
        environment: the values of `${NIGHTFERRY_…}`.

    Raises:
        ServiceFileFault: unreadable, not YAML, not a mapping, or naming a variable that is unset.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a safe loader)
    except OSError as fault:
        raise ServiceFileFault(f"it cannot be read: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise ServiceFileFault("it is not UTF-8 text") from fault
    except yaml.YAMLError as fault:
        raise ServiceFileFault(_where(fault)) from fault
    except ServiceFileFault:
        raise
    except (ValueError, TypeError, RecursionError) as fault:  # a date that is none, a list as a key
        raise ServiceFileFault(_odd(fault)) from fault
    if not isinstance(content, dict):
        raise ServiceFileFault("it should be a list of `key: value` lines that begins with `service:`")
    try:
        return {str(key): _expanded(value, str(key), environment) for key, value in content.items()}
    except RecursionError as fault:  # a list that holds itself
        raise ServiceFileFault(_odd(fault)) from fault


def _odd(fault: Exception) -> str:
    return f"it holds what no service file has: {' '.join(str(fault).split())}"


def _expanded(value: Any, where: str, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(item, f"{where}.{key}", environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, f"{where}.{number}", environment) for number, item in enumerate(value)]
    return _VARIABLE.sub(lambda found: _value(found[1], where, environment), value) if isinstance(value, str) else value


def _value(name: str, where: str, environment: Mapping[str, str]) -> str:
    if not name.startswith("NIGHTFERRY_"):
        raise ServiceFileFault(f"{where}: only ${{NIGHTFERRY_…}} can be used here, not ${{{name}}}")
    if not environment.get(name):
        raise ServiceFileFault(f"{where}: {name} is not set; {how_to_set()}")
    return environment[name]


def _where(fault: yaml.YAMLError) -> str:
    mark = getattr(fault, "problem_mark", None) or getattr(fault, "context_mark", None)
    problem = getattr(fault, "problem", None) or "it is not YAML"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
