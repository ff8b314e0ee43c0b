"""The target that is a namespace of Kubernetes: a Deployment per release, the stable Service, and a gateway's route."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names, policies
from nightferry.manifests import service as services
from nightferry.manifests.deployment import deployment as deployment_of
from nightferry.manifests.deployment import wanted_replicas
from nightferry.steps.rollout.await_ready import await_ready, counted, pods_of
from nightferry.steps.rollout.back.verdict_note import verdict_note
from nightferry.steps.rollout.check_quota import await_quota
from nightferry.steps.rollout.fence import Orders, order_on, refuse_superseded, unwritten_rollback
from nightferry.steps.rollout.follow_route import ALL, Share, carried_share, follow, give_share, make_known
from nightferry.steps.rollout.own_objects import apply_own, refuse_alien
from nightferry.steps.rollout.remove_release import remove_release
from nightferry.steps.rollout.retire_releases import retire_releases
from nightferry.steps.rollout.settle_releases import mark_served, mark_switching
from nightferry.steps.rollout.switch_service import change_notes, in_use, switch_forward
from nightferry.steps.rollout.unready_pods import details

_TRIES = 10
log = logging.getLogger(__name__)


class KubernetesTarget:
    """A `Target`: whole shifts are the Service's selector, shares are weights of the route beside it."""

    def __init__(self, plan: RolloutPlan, cluster: Cluster, orders: Orders, clock: Clock) -> None:
        self._plan, self._cluster, self._orders, self._clock = plan, cluster, orders, clock
        self._mark = ""

    def bring_up(self) -> None:
        """Make the release's objects where they are not there yet, and wait for its pods."""
        plan, cluster = self._plan, self._cluster
        wanted = self._replicas(self.in_use())
        let_go = partial(retire_releases, cluster, plan.service, self._clock)
        await_quota(cluster, deployment_of(plan, wanted), clock=self._clock, let_go=let_go)
        apply_own(cluster, plan.service, policies.network_policy(plan.service))
        made = self._deployment(wanted)
        apply_own(cluster, plan.service, policies.disruption_budget(made))
        if plan.environment.egress:
            apply_own(cluster, plan.service, policies.egress(made, plan.environment.egress))
        apply_own(cluster, plan.service, services.candidate(plan.service, names.identity(plan)))
        pods = await_ready(
            cluster, plan.service, plan.release, seconds=plan.environment.ready_seconds, clock=self._clock
        )
        make_known(cluster, plan.service, plan.environment, plan.release, self._clock)
        log.info("%s is ready in %s with %s.", plan.release, cluster.namespace, counted(len(pods)))

    def in_use(self) -> str:
        """The release that the Service points to."""
        return in_use(self._cluster.get("Service", self._plan.service))

    def traffic(self) -> Mapping[str, int]:
        """The Service's release, and the canary that the route carries."""
        current, share = self.in_use(), carried_share(self._cluster, self._plan.service)
        if not current:
            return {}
        return {current: ALL - share.share, share.release: share.share} if share else {current: ALL}

    def give(self, share: int) -> None:
        """Weigh the release in the route."""
        plan = self._plan
        wanted = Share(plan.release, share, plan.order)
        give_share(self._cluster, plan.service, plan.environment, wanted, self._refuse)

    def take_back(self) -> None:
        """Take the release's weight from the route."""
        follow(self._cluster, self._plan.service, self._plan.environment, self._clock, without=self._plan.release)

    def give_all(self) -> str:
        """Point the Service to the release."""
        plan, cluster = self._plan, self._cluster
        current = self.in_use()
        if current != plan.release:
            if current:
                mark_served(cluster, current, self._clock)
            self._mark = mark_switching(cluster, plan.release, self._clock)
        return switch_forward(cluster, plan, self._orders, self._clock)

    def refuse_superseded(self) -> None:
        """Look at the Service, and at the canary that the route carries."""
        self._refuse(self._cluster.get("Service", self._plan.service))
        share = carried_share(self._cluster, self._plan.service)
        if share and share.release != self._plan.release and share.order > self._plan.order:
            raise Permanent(
                Reason.ROLLOUT_SUPERSEDED,
                f"{self._plan.release} was ordered before {share.release}, which has {share.share} % of the users of "
                f"{self._plan.environment.name}; its share was taken back.",
            )

    def endpoints(self) -> Sequence[str]:
        """The release's pods."""
        plan, cluster = self._plan, self._cluster
        deployment = cluster.get("Deployment", names.object_name(plan.release))
        wanted = int(deployment["spec"].get("replicas", 1)) if deployment else 0
        pods = [pod for pod in pods_of(cluster, plan.service, plan.release) if not pod.deleting]
        digest = plan.image.rpartition("@")[2]
        for pod in pods:
            if pod.hopeless == "crashes":
                raise Permanent(Reason.ROLLOUT_NOT_READY, f"Pod {pod.name} {pod.hopeless}{details(cluster, pod)}")
            if pod.image != plan.image or ("@" in pod.image_id and not pod.image_id.endswith(digest)):
                raise Permanent(
                    Reason.VERIFY_WRONG_RELEASE,
                    f"Pod {pod.name} runs {pod.image_id or pod.image}, not {plan.image}, which was tested.",
                )
        ready = [pod for pod in pods if pod.ready]
        if not wanted or len(ready) < wanted:
            raise Temporary(
                Reason.VERIFY_UNREACHABLE,
                f"Of {counted(wanted)} of {plan.release} in {cluster.namespace} {len(ready)} can answer.",
            )
        return [f"http://{pod.host}:{pod.port}" for pod in ready]

    def note(self, why: NightferryError, met: Mapping[str, Any]) -> None:
        """Write it on the Service, if that is still where users of no other order are."""
        plan, cluster = self._plan, self._cluster
        changes = {names.WITHDRAWN: plan.release, names.ROLLBACK: ""} | verdict_note(plan.release, why, met)
        for _ in range(_TRIES):
            stable = cluster.get("Service", plan.service)
            if stable is None or in_use(stable) in ("", plan.release):
                return
            if unwritten_rollback(names.annotations_of(stable)) or order_on(stable) > plan.order:
                return  # something else is to be written about this Service, or it was moved on
            with suppress(ClusterConflict):
                change_notes(cluster, plan.service, stable, plan.environment, changes)
                return

    def remove(self) -> bool:
        """Remove the Deployment, and what goes with it."""
        return remove_release(self._cluster, self._plan.service, self._plan.release, self._clock, mark=self._mark)

    def _refuse(self, stable: Manifest | None) -> None:
        refuse_superseded(stable, self._plan.release, self._plan.order, self._orders)

    def _deployment(self, wanted: int) -> Manifest:
        plan, cluster = self._plan, self._cluster
        name = names.object_name(plan.release)
        found = cluster.get("Deployment", name)
        if found is None:
            log.info("Making Deployment %s in %s from %s.", name, cluster.namespace, plan.image)
            return cluster.apply(deployment_of(plan, wanted))
        refuse_alien(found, plan.service)
        if names.annotations_of(found).get(names.IMAGE) != plan.image:
            raise Permanent(
                Reason.ROLLOUT_REFUSED,
                f"Deployment {name} in {cluster.namespace} exists with another image than {plan.image}; "
                "a release has one image: find out who made it.",
            )
        if found["spec"].get("replicas", 1) < wanted:  # scaled to zero since, or the one in use has grown
            return cluster.patch("Deployment", name, {"spec": {"replicas": wanted}}) or found
        return found

    def _replicas(self, current: str) -> int:
        """How many pods the release starts with: where load decides, as many as the one in use has grown to."""
        environment = self._plan.environment
        wanted = wanted_replicas(environment)
        if not environment.autoscale or not current:
            return wanted
        found = self._cluster.get("Deployment", names.object_name(current))
        has = int(found["spec"].get("replicas", 1)) if found else 0
        return max(wanted, min(has, environment.autoscale.maximum))
