"""YAML read strictly: one mapping, no key twice, and every fault with its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlFault(ValueError):
    """What is wrong with the file, and where."""


class _Loader(_Base):  # type: ignore[misc]
    """YAML without its surprises: a key given twice is an error, not the last one's victory."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise YamlFault(f"line {key.start_mark.line + 1}: the key {key.value!r} is given twice")
            seen.add(str(key.value))
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def read_yaml(path: Path, first: str = "service", *, empty: bool = False) -> dict[Any, Any]:
    """The mapping that the file holds.

    Args:
        path: the file.
        first: a key that it may begin with, for who has never seen one.
        empty: whether all of it may be left out.

    Raises:
        YamlFault: unreadable, not YAML, not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a safe loader)
    except OSError as fault:
        raise YamlFault(f"it cannot be read: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise YamlFault("it is not UTF-8 text") from fault
    except yaml.YAMLError as fault:
        raise YamlFault(_where(fault)) from fault
    except YamlFault:
        raise
    except (ValueError, TypeError, RecursionError) as fault:  # a date that is none, a list as a key
        raise YamlFault(odd(fault)) from fault
    if content is None and empty:
        return {}
    if not isinstance(content, dict):
        raise YamlFault(f"it should be a list of `key: value` lines that begins with `{first}:`")
    return content


def lines_of(path: Path) -> dict[str, int]:
    """The line of each key and list item, by its path: `checks.0.request` -> 12. Of a file that `read_yaml` took."""
    return dict(_lines(yaml.compose(path.read_text(encoding="utf-8"), _Loader), ""))


def _lines(node: Any, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        children = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(number), item, item) for number, item in enumerate(node.value)]
    else:
        return
    for name, start, child in children:
        inside = f"{path}.{name}" if path else name
        yield inside, start.start_mark.line + 1
        yield from _lines(child, inside)


def odd(fault: Exception) -> str:
    """The sentence about what YAML may hold and no file of ours does."""
    return f"it holds what no such file has: {' '.join(str(fault).split())}"


def _where(fault: yaml.YAMLError) -> str:
    mark = getattr(fault, "problem_mark", None) or getattr(fault, "context_mark", None)
    problem = getattr(fault, "problem", None) or "it is not YAML"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
