"""What each kind of work wants a service's Lease for."""

from __future__ import annotations

from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.steps.rollout.lease.claim import Claim, Rank


def of_rollout(plan: RolloutPlan, doing: str = "roll_out", *, needed: bool = False) -> Claim:
    """To carry out a plan's order; with `needed` it is not begun where Leases are not allowed."""
    return Claim(plan.service, f"{doing} of {plan.release}", Rank.ROLLOUT, plan.order, plan.release, needed)


def of_person(service: str, actor: str) -> Claim:
    """To roll back. Users wait for it, so it is done without the Lease where that is not allowed."""
    return Claim(service, f"rollback by {actor}", Rank.PERSON)


def of_housekeeping(service: str, doing: str) -> Claim:
    """To tidy up, where nobody else is at it."""
    return Claim(service, doing, Rank.HOUSEKEEPING)
