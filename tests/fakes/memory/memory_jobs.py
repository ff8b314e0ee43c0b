"""As much of Jobs as a preview meets: one pod, a deadline, and the removal of what has ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

Manifest = dict[str, Any]
COUNT = "count/jobs.batch"


def no_place(quotas: Sequence[Manifest], jobs: Sequence[Manifest]) -> str:
    """Why the API server makes no other Job; empty when it does."""
    for quota in quotas:
        hard = quota["spec"]["hard"].get(COUNT)
        if hard is not None and len(jobs) >= int(hard):
            name = quota["metadata"]["name"]
            return f"exceeded quota: {name}, requested: {COUNT}=1, used: {COUNT}={len(jobs)}, limited: {COUNT}={hard}"
    return ""


def ended_at(job: Manifest, now: dt.datetime) -> dt.datetime | None:
    """When the cluster ended the Job for its deadline; None while it runs."""
    begun = dt.datetime.fromisoformat(job["metadata"]["creationTimestamp"])
    end = begun + dt.timedelta(seconds=job["spec"]["activeDeadlineSeconds"])
    return end if now >= end else None


def failed(job: Manifest, reason: str, message: str = "") -> None:
    """Write down that the Job has ended, as its controller does."""
    condition = {"type": "Failed", "status": "True", "reason": reason, "message": message}
    job["status"] = {"conditions": [condition]}


def is_old(job: Manifest, end: dt.datetime, now: dt.datetime) -> bool:
    """Whether the cluster removes what has ended by now."""
    return now >= end + dt.timedelta(seconds=job["spec"]["ttlSecondsAfterFinished"])
