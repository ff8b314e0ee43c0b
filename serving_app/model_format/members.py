"""A JSON object's members, read by name and kind; whatever is wrong is said with the member's path."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection
from typing import Any

_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}
REQUIRED: Any = object()


class ManifestFault(ValueError):
    """model.json does not hold what it should; the text says what."""


class LabelsFault(ManifestFault):
    """The labels are not one for each class."""


class Members:
    """One object of model.json. Every method raises ManifestFault with one sentence."""

    def __init__(self, value: object, path: str, known: Collection[str]) -> None:
        """Take the object.

        Args:
            value: what JSON gave.
            path: the object's own path, `image`; empty for the whole document.
            known: the members that exist.
        """
        self._path = path
        if not isinstance(value, dict):
            raise ManifestFault(f"{path} is {kind(value)}; give an object" if path else "not a JSON object")
        self._value = value
        for name in value:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                raise ManifestFault(f"{self.path(name)} is not a member; {hint}")

    def path(self, name: str) -> str:
        """Return a member's path."""
        return f"{self._path}.{name}" if self._path else name

    def get(self, name: str, default: Any = REQUIRED) -> Any:
        """Return a member as it is; the default also stands for null."""
        if self._value.get(name) is None:
            if default is REQUIRED:
                raise ManifestFault(f"{self.path(name)} is missing")
            return default
        return self._value[name]

    def text(self, name: str, pattern: re.Pattern[str] | None = None, wanted: str = "a text", most: int = 0) -> str:
        """Return a text that is not empty.

        Args:
            name: the member.
            pattern: what the whole text has to match; none: any text.
            wanted: says what the pattern takes.
            most: how many characters it may have; 0: any number.
        """
        value = self.get(name)
        if not isinstance(value, str) or not value or (pattern and not pattern.fullmatch(value)):
            raise self._wrong(name, value, wanted)
        if most and len(value) > most:
            raise ManifestFault(f"{self.path(name)} has {len(value)} characters; {most} are allowed")
        return value

    def one_of(self, name: str, allowed: Collection[str], default: str = REQUIRED) -> str:
        """Return one of some texts."""
        value = self.get(name, default)
        if value not in allowed:
            raise ManifestFault(f"{self.path(name)} is {value!r}; one of {', '.join(allowed)}")
        return str(value)

    def whole(self, name: str, default: int = REQUIRED, *, low: int) -> int:
        """Return a whole number that is not below a limit."""
        value = self.get(name, default)
        if type(value) is not int or value < low:
            raise self._wrong(name, value, f"a whole number from {low} on")
        return value

    def number(self, name: str, default: float = REQUIRED) -> float:
        """Return a number."""
        value = self.get(name, default)
        if not _is_number(value):
            raise self._wrong(name, value, "a number")
        return float(value)

    def numbers(self, name: str, default: tuple[float, ...] = REQUIRED) -> tuple[float, ...]:
        """Return a list of numbers."""
        value = self.get(name, default)
        if not isinstance(value, list | tuple) or not value or not all(_is_number(one) for one in value):
            raise self._wrong(name, value, "a list of numbers")
        return tuple(float(one) for one in value)

    def flag(self, name: str, default: bool = REQUIRED) -> bool:
        """Return true or false."""
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an object as it is; an empty one where it is left out."""
        value = self.get(name, {})
        if not isinstance(value, dict):
            raise self._wrong(name, value, "an object")
        return value

    def items(self, name: str, default: list[Any] = REQUIRED) -> list[Any]:
        """Return a list."""
        value = self.get(name, default)
        if not isinstance(value, list):
            raise self._wrong(name, value, "a list")
        return value

    def _wrong(self, name: str, value: object, wanted: str) -> ManifestFault:
        shown = repr(value) if isinstance(value, str | int | float) else kind(value)
        return ManifestFault(f"{self.path(name)} is {shown[:80]}; give {wanted}")


def kind(value: object) -> str:
    """Return what JSON calls this."""
    return _KINDS.get(type(value), type(value).__name__)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
