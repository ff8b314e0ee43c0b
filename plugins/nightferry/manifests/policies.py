"""What stands around a release's pods: disruption budget, autoscaler, network policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nightferry.entities.service_file.pod_needs import Egress
from nightferry.entities.service_spec import Autoscale
from nightferry.manifests import names

Manifest = dict[str, Any]


def network_policy(service: str) -> Manifest:
    """Requests come in from anywhere, on the port that each release's pods name for them; metrics and recorded requests
    are read from namespaces that carry the label for it and from the deployers', and probes come from the node, which
    no policy keeps out. Nothing goes out, but for what `egress` opens to a release: a service needs nobody to
    answer."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": service, "labels": names.labels(service)},
        "spec": {
            "podSelector": {"matchLabels": names.selector(service)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"ports": [{"port": names.HTTP, "protocol": "TCP"}]},
                {
                    "ports": [{"port": names.STATUS, "protocol": "TCP"}],
                    "from": [
                        {"namespaceSelector": {"matchLabels": {label: "true"}}}
                        for label in (names.SCRAPES, names.DEPLOYERS)
                    ],
                },
            ],
        },
    }


def egress(deployment: Manifest, ways: Sequence[Egress]) -> Manifest:
    """What a release's pods may connect to: these networks, and the cluster's own DNS. It is the release's own and goes
    with its Deployment, so that the one in use keeps its ways while another comes up. Policies add up."""
    names_of_hosts = {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
        "ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": owned(deployment),
        "spec": {
            "podSelector": deployment["spec"]["selector"],
            "policyTypes": ["Egress"],
            "egress": [
                names_of_hosts,
                *(
                    {
                        "to": [{"ipBlock": {"cidr": way.to}}],
                        "ports": [{"port": port, "protocol": "TCP"} for port in way.ports],
                    }
                    for way in ways
                ),
            ],
        },
    }


def disruption_budget(deployment: Manifest) -> Manifest:
    """What keeps a node from ending too many of a release's pods; it goes with the Deployment, whose uid has to be
    known."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": owned(deployment),
        # Not minAvailable: with a single pod that would keep a node from ever being drained.
        "spec": {"maxUnavailable": 1, "selector": deployment["spec"]["selector"]},
    }


def autoscaler(deployment: Manifest, autoscale: Autoscale) -> Manifest:
    """What scales the release in use; one kept warm has none, since without users it would shrink."""
    target = {"type": "Utilization", "averageUtilization": autoscale.cpu_percent}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": owned(deployment),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment["metadata"]["name"]},
            "minReplicas": autoscale.minimum,
            "maxReplicas": autoscale.maximum,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def owned(deployment: Mapping[str, Any]) -> Manifest:
    """The metadata of what belongs to one release and goes with its Deployment, which has to be as the cluster has it:
    with its uid."""
    metadata = deployment["metadata"]
    return {
        "name": metadata["name"],
        "labels": metadata["labels"],
        "annotations": names.identity_of(deployment),
        # The cluster removes these with the Deployment, also when the deployer is killed in between.
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}
        ],
    }
