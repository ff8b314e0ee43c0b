"""Take away what a rollout left behind that had to give way: it may not do that itself any more."""

from __future__ import annotations

from contextlib import suppress

from nightferry.clients.clock import Clock
from nightferry.entities.service_spec import Environment
from nightferry.errors import NightferryError
from nightferry.steps.rollout.follow_route import follow
from nightferry.steps.rollout.lease.claim import Rank
from nightferry.steps.rollout.lease.leased_cluster import Hold
from nightferry.steps.rollout.remove_release import remove_release


def take_away(held: Hold, environment: Environment, clock: Clock) -> None:
    """Remove the release of the rollout from which the Lease was taken, and the share of the users that a canary gave
    it, unless all users are or were sent to it, or it is the one that is rolled out now. What cannot be removed now is
    retired later."""
    former, claim = held.lease.former, held.lease.claim
    if former is None or former.rank != Rank.ROLLOUT or former.release in ("", claim.release):
        return
    with suppress(NightferryError):
        # Users first: it may have a share of them.
        follow(held.cluster, claim.service, environment, clock, without=former.release)
        if remove_release(held.cluster, claim.service, former.release, clock):
            follow(held.cluster, claim.service, environment, clock)
