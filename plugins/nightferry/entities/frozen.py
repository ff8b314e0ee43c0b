"""The base of every value of Nightferry: frozen, strict, and able to travel as JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class Frozen(BaseModel):
    """A value that cannot change and that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def to_json(self) -> dict[str, Any]:
        """The value as plain JSON types (what goes through XCom and into the ledger)."""
        return self.model_dump(mode="json")


class Recorded(Frozen):
    """A value that is read back from the record: a newer version may have written more than this one knows."""

    model_config = ConfigDict(extra="ignore")


def problems(error: ValidationError) -> list[str]:
    """The faults that pydantic found, one line each: `schedule.timezone: unknown time zone …`."""
    lines = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"]) or "top level"
        message = (
            "unknown key" if fault["type"] == "extra_forbidden" else str(fault["msg"]).removeprefix("Value error, ")
        )
        lines.append(f"{where}: {message}")
    return lines
