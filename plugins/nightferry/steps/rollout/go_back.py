"""Take a release back: the Service points to the one before again, and the failed one is removed."""

from __future__ import annotations

import logging
from contextlib import suppress

from nightferry.clients.clock import Clock
from nightferry.clients.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.manifests import names, policies
from nightferry.steps.rollout.await_ready import await_ready
from nightferry.steps.rollout.remove_release import remove_release
from nightferry.steps.rollout.settle_releases import settle
from nightferry.steps.rollout.switch_service import in_use, switch_back

log = logging.getLogger(__name__)


def go_back(plan: RolloutPlan, *, cluster: Cluster, clock: Clock) -> str:
    """Take the plan's release out of use; what was done, as a sentence.

    Done again after an interruption it goes on where it stopped. Where the release before is gone there is nothing
    to go back to, and the release stays in use rather than leaving users with nothing.

    Raises:
        Permanent: (rollout_not_ready: the release before does not come up again, rollout_refused)
        Temporary: (cluster_unavailable, rollout_not_ready)
    """
    where = plan.environment.name
    stable = cluster.get("Service", plan.service)
    if stable is not None and in_use(stable) == plan.release:
        previous = names.annotations_of(stable).get(names.PREVIOUS, "")
        if previous:
            deployment = wake(plan, cluster=cluster, release=previous, clock=clock)
            if deployment is None:
                return f"{where} keeps {plan.release}: {previous} is gone, there is nothing to go back to."
            switch_back(cluster, plan.service, plan.release, names.identity_of(deployment), plan.environment, clock)
        else:
            with suppress(ClusterConflict):  # another was faster; what stands there now decides
                cluster.delete("Service", plan.service, stable["metadata"]["resourceVersion"])
        stable = cluster.get("Service", plan.service)
    return _clean_up(plan, cluster, clock, stable)


def _clean_up(plan: RolloutPlan, cluster: Cluster, clock: Clock, stable: Manifest | None) -> str:
    """Remove the release if it is out of use because it was taken back; what stands now, as a sentence."""
    where = plan.environment.name
    current = in_use(stable)
    if stable is None:
        remove_release(cluster, plan.service, plan.release, clock, although_served=True)
        return f"{plan.release} was the first and was removed; {where} serves nothing."
    if current == plan.release or names.annotations_of(stable).get(names.WITHDRAWN) != plan.release:
        return f"{where} serves {current or 'nothing'}; nothing was changed."
    settle(cluster, plan.service, current, plan.environment.warm_minutes, clock)
    remove_release(cluster, plan.service, plan.release, clock, although_served=True)
    return f"{where} serves {current} again, and {plan.release} was removed."


def wake(plan: RolloutPlan, *, cluster: Cluster, release: str, clock: Clock) -> Manifest | None:
    """Make sure that an earlier release's pods run and are ready; its Deployment, None when that is gone.

    From here on nobody scales it to zero: it is no longer kept warm for a time but wanted. Raises as `go_back`.
    """
    name = names.object_name(release)
    found = cluster.get("Deployment", name)
    if found is None:
        return None
    changes: Manifest = {"metadata": {"annotations": {names.WARM_UNTIL: None}}}
    if not found["spec"].get("replicas", 1):
        kept = names.annotations_of(found).get(names.REPLICAS, "")
        changes["spec"] = {"replicas": int(kept) if kept.isdigit() else plan.environment.replicas}
    found = cluster.patch("Deployment", name, changes)
    if found is None:
        return None
    for companion in policies.companions(found, plan.environment.autoscale):
        cluster.apply(companion)
    await_ready(cluster, plan.service, release, seconds=plan.environment.ready_seconds, clock=clock)
    log.info("%s is ready in %s.", release, cluster.namespace)
    return found
