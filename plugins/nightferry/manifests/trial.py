"""The namespace in which releases are tried that nobody uses, and the Lease that says whose turn it is."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.manifests import names

NAMESPACE = "nightferry-trial"
"""As manifests/cluster/trial.yaml has it."""
LEASE = "nightferry-trial"


def lease(holder: str, seconds: int, now: dt.datetime) -> dict[str, Any]:
    """The Lease of a holder who renews it within so many seconds."""
    time = now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": LEASE, "labels": {names.MANAGED_BY: "nightferry"}},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": time},
    }


def in_trial(plan: RolloutPlan, **changes: Any) -> RolloutPlan:
    """The plan as it is tried: in the trial namespace, with no users, no gateway and no scaling of its own.

    Args:
        changes: more of its environment that is to be otherwise.
    """
    environment = plan.environment.model_copy(
        update={
            "namespace": NAMESPACE,
            "traffic": None,
            "autoscale": None,
            "service_type": "ClusterIP",
            "dns_label": None,
            "source_ranges": (),
            **changes,
        }
    )
    return plan.model_copy(update={"environment": environment})
