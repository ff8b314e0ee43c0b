"""Does a JSON value hold what is expected of it, and where does it not?"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MISSING: Any = object()
"""Nothing is there, not even null."""


@dataclass(frozen=True)
class Difference:
    """The first place where they differ."""

    at: str
    """Members and positions with dots between, as `churn.0`; empty: the whole value."""
    expected: Any
    got: Any
    """MISSING where nothing is."""
    lengths: tuple[int, int] | None = None
    """Of two lists that differ in it: expected and got."""

    def sentence(self, shown: Callable[[object], str]) -> str:
        """As `churn.0 should be 0.11, got 0.42`.

        Args:
            shown: a JSON value in a few words.
        """
        where = f"{self.at} should" if self.at else "should"
        if self.lengths:
            return f"{where} have {_items(self.lengths[0])}, got {self.lengths[1]}"
        return f"{where} be {shown(self.expected)}, got {'nothing' if self.got is MISSING else shown(self.got)}"


def difference(expected: Any, got: Any, tolerance: float, at: str = "") -> Difference | None:
    """Where `got` does not hold what is expected; None: nowhere.

    Of an object the members that are named are compared, of a list all items; numbers may differ by the tolerance,
    relative or absolute. true and false are no numbers.
    """
    if isinstance(expected, dict) and isinstance(got, dict):
        for name, value in expected.items():
            found = difference(value, got.get(name, MISSING), tolerance, _below(at, name))
            if found:
                return found
        return None
    if isinstance(expected, list) and isinstance(got, list):
        for number, (value, given) in enumerate(zip(expected, got, strict=False)):
            found = difference(value, given, tolerance, _below(at, str(number)))
            if found:
                return found
        same = len(expected) == len(got)
        return None if same else Difference(at, expected, got, (len(expected), len(got)))
    return None if _same(expected, got, tolerance) else Difference(at, expected, got)


def at_path(document: Any, path: str) -> Any:
    """What is at a place of a JSON value; MISSING: nothing."""
    found = document
    for part in path.split(".") if path else ():
        if isinstance(found, dict):
            found = found.get(part, MISSING)
        elif isinstance(found, list) and part.isascii() and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return MISSING
    return found


def label_of(value: Any, wanted: str) -> str | None:
    """A JSON value as a label, which is a text; None: there is none. Of numbers, 7.0 is the label 7."""
    if value is MISSING:
        return None
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer() and text != wanted:
        return str(int(value))
    return text


def _same(expected: Any, got: Any, tolerance: float) -> bool:
    if _is_number(expected) and _is_number(got):
        try:
            return math.isclose(expected, got, rel_tol=min(tolerance, 1.0), abs_tol=tolerance)
        except OverflowError:  # an integer that no float holds
            return bool(expected == got)
    return type(expected) is type(got) and bool(expected == got)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"
