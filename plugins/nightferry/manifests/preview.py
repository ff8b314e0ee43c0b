"""The objects of a preview: a Job that the cluster itself ends, and what goes with it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.manifests import names, policies
from nightferry.manifests.deployment import deployment
from nightferry.manifests.service import PORTS

MANAGER = "nightferry-preview"
"""Whose the objects are by their label: what clears up after rehearsals and drills looks for `nightferry`."""
LABELS = {names.MANAGED_BY: MANAGER}
BY, UNTIL, FOR = "nightferry.dev/by", "nightferry.dev/until", "nightferry.dev/hours"
"""On the Job: who asked, when its time is over (UTC, RFC 3339), and for how many hours it was asked."""
KEPT_SECONDS = 3600
"""How long the cluster keeps a Job that has ended: the next look at previews writes its end on the record and removes
it. Where nobody looks, the cluster removes it then, and with it all that it owns."""


def job(plan: RolloutPlan, *, actor: str, hours: int, now: dt.datetime) -> dict[str, Any]:
    """The Job whose one pod serves. The cluster ends it when its time is over, and the kubelet its pod, also where
    neither Airflow nor Nightferry is there any more.

    Args:
        plan: in the trial namespace.
        actor: who asked.
        hours: how long it runs.
        now: from when on.
    """
    seconds, labels = hours * 3600, _labels(plan)
    notes = {BY: actor, FOR: str(hours), UNTIL: _utc(now + dt.timedelta(seconds=seconds)), names.ORDER: str(plan.order)}
    template = deployment(plan, 1)["spec"]["template"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": plan.release, "labels": labels, "annotations": names.identity(plan) | notes},
        "spec": {
            "activeDeadlineSeconds": seconds,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {**template["metadata"], "labels": labels},
                # With a deadline of its own the pod counts in the quota of previews, not in that of rehearsals alone.
                "spec": {**template["spec"], "restartPolicy": "OnFailure", "activeDeadlineSeconds": seconds},
            },
        },
    }


def service(plan: RolloutPlan, made: dict[str, Any]) -> dict[str, Any]:
    """The preview's address; it goes with the Job."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _owned(plan, made),
        "spec": {
            "type": plan.environment.service_type,
            "selector": names.selector(plan.service, plan.release),
            "ports": PORTS,
        },
    }


def network_policy(plan: RolloutPlan, made: dict[str, Any]) -> dict[str, Any]:
    """As for the pods of a release, for this preview's alone."""
    wanted = policies.network_policy(plan.service)
    selector = {"matchLabels": names.selector(plan.service, plan.release)}
    return {**wanted, "metadata": _owned(plan, made), "spec": {**wanted["spec"], "podSelector": selector}}


def egress(plan: RolloutPlan, made: dict[str, Any]) -> dict[str, Any]:
    """What the service file opens to the service's pods is open to the preview's too."""
    selector = {"matchLabels": names.selector(plan.service, plan.release)}
    wanted = policies.egress({"metadata": made["metadata"], "spec": {"selector": selector}}, plan.environment.egress)
    metadata = _owned(plan, made)
    return {**wanted, "metadata": {**metadata, "name": f"{plan.release}-egress"}}


def until(found: dict[str, Any]) -> str:
    """When a Job's time is over (UTC, RFC 3339); empty where a hand took that off it."""
    return names.annotations_of(found).get(UNTIL, "")


def is_over(found: dict[str, Any], now: dt.datetime) -> bool:
    """Whether a Job has ended, is being removed, or its time is over."""
    conditions = (found.get("status") or {}).get("conditions") or []
    ended = any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)
    return ended or "deletionTimestamp" in found["metadata"] or until(found) <= _utc(now)


def why_over(found: dict[str, Any]) -> str:
    """What the cluster says of a Job that ended before its time; empty where it is its time, or was removed."""
    conditions = (found.get("status") or {}).get("conditions") or []
    for one in conditions:
        if one["status"] == "True" and one["type"] == "Complete":
            return "Its service ended by itself, without a fault."
        if one["status"] == "True" and one["type"] == "Failed" and one.get("reason") != "DeadlineExceeded":
            return f"The cluster gave it up: {one.get('message') or one.get('reason')}."
    return ""


def _labels(plan: RolloutPlan) -> dict[str, str]:
    return names.selector(plan.service, plan.release) | LABELS


def _owned(plan: RolloutPlan, made: dict[str, Any]) -> dict[str, Any]:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": made["metadata"]["name"], "uid": made["metadata"]["uid"]}
    return {
        "name": plan.release,
        "labels": _labels(plan),
        "annotations": names.identity(plan),
        "ownerReferences": [owner],
    }


def _utc(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
