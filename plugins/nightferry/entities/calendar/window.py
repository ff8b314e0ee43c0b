"""A stretch of time in which nothing new is released."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

Meets = Literal["wait", "drop"]
During = Literal["finish", "stop"]


@dataclass(frozen=True)
class Window:
    """One window of a calendar: [begin, end), both in UTC."""

    begin: dt.datetime
    end: dt.datetime
    name: str
    reason: str
    zone: str
    meets: Meets
    """Whether a release that meets it waits until it is over, or is dropped."""
    during: During
    """Whether a release that was under way when it began goes on, or is stopped before its next environment."""

    def stands(self, moment: dt.datetime) -> bool:
        """Whether the moment is in it."""
        return self.begin <= moment < self.end

    def to_json(self) -> dict[str, str]:
        """The window for programs; times in UTC, RFC 3339."""
        times = {"begin": f"{self.begin:%Y-%m-%dT%H:%M:%SZ}", "end": f"{self.end:%Y-%m-%dT%H:%M:%SZ}"}
        return {"name": self.name, "reason": self.reason, "zone": self.zone, **times} | {
            "meets": self.meets,
            "during": self.during,
        }
