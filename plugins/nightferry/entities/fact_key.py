"""The key of an entry about a release: which release, which step, and which of its outcomes."""

from __future__ import annotations

from dataclasses import dataclass

RELEASE = "release"
"""The step of a release's ending."""
FAILED, SKIPPED = "failed", "skipped"
WITHDRAWAL, WITHDRAWN = "withdrawal", "withdrawn"
"""The order to take a release out of use in an environment, and that this was done: `production.withdrawal`."""
ROLLBACK, ROLLED_BACK, RESTORED = "rollback", "rolled_back", "restored"
"""The order to send an environment's users to an earlier release, and that this was done: `production.rollback/12`,
where 12 is the order by which they had got to the release that is left."""

CANARY, CANARY_PASSED, CANARY_ENDED = "canary", "canary_passed", "canary_ended"
"""A share of an environment's users was given to a release, was judged right, and was taken back without a verdict:
`production.canary/2` is the second such share of that release."""

WAITS = "waits"
"""A release waits before an environment: `production.waits/2` is the second time that this is said of it."""


@dataclass(frozen=True)
class FactKey:
    """`<release>/<step>`, `<release>/<step>/failed/<attempt>`, `<release>/<step>/skipped`, `<release>/release/<n>`.

    A fact is written once, whoever retries: who writes it names it by this key.
    """

    release: str
    step: str
    """`build_image`, `production.roll_out`, `release` …"""
    outcome: str = ""
    """`failed` or `skipped`; empty for a step that did its work."""
    attempt: int | None = None
    """Which failure of the step, or which ending of the release, where there are several."""

    @classmethod
    def parse(cls, key: str) -> FactKey | None:
        """Read a key; None where it belongs to no release's step (`night:2026-11-21`, `run:by-hand`)."""
        release, *rest = key.split("/")
        if not rest or ":" in release:
            return None
        step, *rest = rest
        outcome = rest.pop(0) if rest and not rest[0].isdigit() else ""
        attempt = int(rest[0]) if rest and rest[0].isdigit() else None
        return cls(release, step, outcome, attempt)

    def __str__(self) -> str:
        parts = (self.release, self.step, self.outcome, "" if self.attempt is None else str(self.attempt))
        return "/".join(part for part in parts if part)


def of_environment(environment: str, step: str) -> str:
    """A step in an environment: `production.roll_out`."""
    return f"{environment}.{step}"


def step_of(key: str) -> str:
    """The step that a key is about; the key itself where it is about none."""
    found = FactKey.parse(key)
    return found.step if found else key
