"""What probing a running service found."""

from __future__ import annotations

from typing import Literal

from nightferry.entities.frozen import Frozen

EXIT_OK = 0
EXIT_CONTRACT = 10
EXIT_GOLDEN = 11
EXIT_NOT_STARTED = 12
"""The prober's exit codes: how a container says in one number what was wrong."""


class Fault(Frozen):
    """One thing that was not as it should be."""

    kind: Literal["start", "silent", "contract", "passport", "golden"]
    """start: not ready in time · silent: it stopped answering · contract: another answer than the HTTP contract says ·
    passport: another release or model answers · golden: a golden example got a wrong answer."""
    sentence: str


class ProbeReport(Frozen):
    """All faults that were found; none is a pass."""

    faults: tuple[Fault, ...]
    checked: int
    """How many answers were compared."""
    seconds: float

    @property
    def exit_code(self) -> int:
        """The prober's exit code; the first of start, contract (or silent, or passport) and golden counts."""
        kinds = {fault.kind for fault in self.faults}
        if "start" in kinds:
            return EXIT_NOT_STARTED
        if kinds & {"silent", "contract", "passport"}:
            return EXIT_CONTRACT
        return EXIT_GOLDEN if kinds else EXIT_OK
