"""People's yes, which an environment asks for: `approvals:` of a service file."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_serializer

from nightferry.entities.frozen import Frozen

_TIME = re.compile(r"^(\d{1,4})\s*(m|h|d)$")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}
SHORTEST, LONGEST = 5 * 60, 30 * 86400
"""Seconds that a yes can be waited for."""
Who = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][-_.@A-Za-z0-9]*$", max_length=80)]


class Approvals(Frozen):
    """How many people have to say yes to an image before it comes into an environment, who, and within which time."""

    model_config = ConfigDict(populate_by_name=True)

    needed: int = Field(default=1, ge=1, le=5)
    """Persons; nobody counts twice."""
    from_: tuple[Who, ...] = Field(alias="from", min_length=1, max_length=50)
    """Groups of dags/people.yaml, or names of Airflow users."""
    within: int = Field(default=12 * 3600, ge=SHORTEST, le=LONGEST)
    """Seconds, written like 12h, 90m or 2d. When they are over, the answer is no."""
    not_: Literal["authors"] | None = Field(default=None, alias="not")
    """`authors`: who made the model or the commit does not count."""

    @field_validator("within", mode="before")
    @classmethod
    def _written(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = _TIME.match(value.strip())
        if not found:
            raise ValueError(f"a time is written like 12h, 90m or 2d, not {value!r}")
        return int(found[1]) * _SECONDS[found[2]]

    @model_serializer(mode="plain")
    def _plain(self) -> dict[str, Any]:
        """As it is written in the service file, but for the time, which is in seconds."""
        more = {"not": self.not_} if self.not_ else {}
        return {"needed": self.needed, "from": list(self.from_), "within": self.within, **more}
