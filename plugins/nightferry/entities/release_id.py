"""The name of a release: `<service>-<local date>.<n>`."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

_PATTERN = re.compile(r"^(?P<service>[a-z]([-a-z0-9]*[a-z0-9])?)-(?P<date>\d{4}-\d{2}-\d{2})\.(?P<n>[1-9]\d*)$")


@dataclass(frozen=True, order=True)
class ReleaseId:
    """One attempt to make an image the one in use. Ids of a service order by date, then number."""

    service: str
    date: dt.date
    """The local date of the service's own time zone."""
    number: int
    """1 for the first release of that date."""

    @classmethod
    def parse(cls, text: str) -> ReleaseId:
        """Read `digits-2026-11-21.1`.

        Raises:
            ValueError: it is not a release id.
        """
        found = _PATTERN.match(text)
        if not found:
            raise ValueError(f"not a release id (service-YYYY-MM-DD.n): {text!r}")
        return cls(found["service"], dt.date.fromisoformat(found["date"]), int(found["n"]))

    @property
    def object_name(self) -> str:
        """The release as part of a Kubernetes name: `digits-20261121-1`."""
        return f"{self.service}-{self.date:%Y%m%d}-{self.number}"

    def __str__(self) -> str:
        return f"{self.service}-{self.date.isoformat()}.{self.number}"
