"""Whether a release that waits should go on: its window has opened, or it may be released as soon as it is built."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from nightferry.entities.service_file.triggers import RELEASE
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.waiting import Waiting
from nightferry.entities.trigger import Cause

FROZEN, PUBLISHED = "frozen", "published"
"""What a release waits for, of what ends without a person."""


@dataclass(frozen=True)
class Resume:
    """A run that goes on with a release."""

    run: str
    """The run's id; the same opening has the same one, whoever sees it."""
    release: str
    cause: Cause


def due_to_resume(service: ServiceSpec, waiting: Waiting | None, now: dt.datetime) -> Resume | None:
    """The run that goes on with the release that waits; None where it has to wait on, or nothing waits.

    Args:
        service: its service file as it is now.
        waiting: what waits.
        now: the time.
    """
    if waiting is None:
        return None
    name = f"resume-{waiting.release}-{waiting.environment}"
    if waiting.reason == FROZEN and waiting.until and now >= dt.datetime.fromisoformat(waiting.until):
        cause = Cause(kind="window", detail=f"The window before {waiting.environment} opened at {waiting.until}.")
        return Resume(f"{name}-open-{waiting.until}", waiting.release, cause)
    if waiting.reason == PUBLISHED and service.triggers.build == RELEASE:
        cause = Cause(kind="build", detail=f"{waiting.release} was published.")
        return Resume(f"{name}-build", waiting.release, cause)
    return None
