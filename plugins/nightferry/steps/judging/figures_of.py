"""Choose where the figures of a plan's releases are read."""

from __future__ import annotations

from nightferry.clients.cluster import Cluster
from nightferry.clients.service_figures import ServiceFigures
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.settings import Settings


def figures_of(plan: RolloutPlan, settings: Settings, cluster: Cluster) -> ServiceFigures | None:
    """What reads the figures; None: nobody counts this service's requests, so that a canary of it is refused.

    Args:
        plan: the service, and how its app says what it counts.
        settings: where Prometheus and the gateway's figures are.
        cluster: the environment's namespace.
    """
    return None
