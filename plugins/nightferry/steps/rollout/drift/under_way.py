"""Whether traffic is being moved just now: what differs then is no drift."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Manifest
from nightferry.entities.state.service_state import ServiceState
from nightferry.entities.state.traffic import Traffic
from nightferry.manifests import names
from nightferry.steps.rollout.back.roll_back import unrecorded
from nightferry.steps.rollout.fence import order_on
from nightferry.steps.rollout.remove_release import being_switched

GRACE = dt.timedelta(minutes=1)
"""So long after a switch whoever switched still tidies up, and the record may be a moment behind."""


def under_way(traffic: Traffic, stable: Manifest | None, deployments: Mapping[str, Manifest], clock: Clock) -> str:
    """Why what differs is no drift yet; empty where nothing is being moved.

    Args:
        traffic: what the record says.
        stable: the Service.
        deployments: the service's, by release.
        clock: for the time.
    """
    if traffic.withdrawing is not None:
        return f"{traffic.release} is being taken out of use."
    notes = names.annotations_of(stable) if stable else {}
    current = notes.get(names.RELEASE, "")
    if unrecorded(stable):
        return f"A person rolled back to {current}; the record does not have it yet."
    if stable and current != (traffic.release or ""):
        if traffic.release and notes.get(names.WITHDRAWN) == traffic.release:
            return f"{traffic.release} was taken out of use; the record does not have it yet."
        if order_on(stable) > traffic.order:
            return f"Users were sent to {current or 'nobody'} by entry {order_on(stable)}; the record follows."
    if stable and _just_switched(notes.get(names.SWITCHED, ""), clock):
        return f"Users were sent to {current or 'nobody'} less than {GRACE.seconds} seconds ago."
    for release, deployment in deployments.items():
        if _being_switched(deployment, clock):
            return f"Users are about to be sent to {release}."
    return ""


def rolling_out(state: ServiceState, traffic: Traffic, deployments: Mapping[str, Manifest]) -> str:
    """The release that is being rolled out beside the one in use; empty for none, or where it had the users already."""
    coming = deployments.get(state.open or "")
    if coming is None or state.open == traffic.release or names.SERVED in names.annotations_of(coming):
        return ""
    return str(state.open)


def _just_switched(written: str, clock: Clock) -> bool:
    try:
        since = clock.now() - dt.datetime.fromisoformat(written)
    except (ValueError, TypeError):  # none, or changed by hand
        return False
    return dt.timedelta(0) <= since < GRACE


def _being_switched(deployment: Manifest, clock: Clock) -> bool:
    try:
        return being_switched(names.annotations_of(deployment), clock)
    except (ValueError, TypeError, IndexError):  # changed by hand
        return False
