"""Choose where the figures of a plan's releases are read."""

from __future__ import annotations

from nightferry.clients.clock import Clock, SystemClock
from nightferry.clients.doors.cluster import Cluster
from nightferry.clients.doors.service_figures import ServiceFigures
from nightferry.clients.figures.gateway import GatewayFigures
from nightferry.clients.figures.pods import PodFigures
from nightferry.clients.figures.prometheus import PrometheusFigures
from nightferry.entities.pod_state import PodState
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.manifests import names
from nightferry.settings import Settings


def figures_of(
    plan: RolloutPlan, settings: Settings, cluster: Cluster, clock: Clock | None = None
) -> ServiceFigures | None:
    """What reads the figures; None: nobody counts this service's requests, so that a canary of it is refused.

    What counts itself is asked at its pods, or at Prometheus where an address is given; for an app that does not, the
    gateway is asked.

    Args:
        plan: the service, and whether its app has a page of metrics.
        settings: where Prometheus and the gateway's figures are.
        cluster: the environment's namespace.
        clock: for the snapshots' times; None: the machine's.
    """
    clock = clock or SystemClock()
    app = plan.app
    if app is None or app.metrics:
        ignored = {path for path in (app.metrics, app.ready, app.live, app.version) if path} - {"/"} if app else set()
        if settings.prometheus_url:
            return PrometheusFigures(settings.prometheus_url, cluster.namespace, clock, ignored)

        def pods(release: str) -> list[PodState]:
            return [PodState.read(pod) for pod in cluster.list("Pod", names.selector(plan.service, release))]

        def port(pod: PodState) -> int:
            return pod.port if app else names.STATUS_PORT

        return PodFigures(pods, port, (app and app.metrics) or "/metrics", clock, ignored)
    if settings.gateway_metrics and plan.environment.traffic is not None:
        return GatewayFigures(settings.gateway_metrics, cluster.namespace, clock)
    return None
