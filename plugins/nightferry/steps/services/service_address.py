"""Where users call a service."""

from __future__ import annotations

from nightferry.clients.doors.cluster import Cluster
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary


def service_address(cluster: Cluster, service: str) -> str:
    """`http://…` of the stable Service, without a slash at its end.

    Raises:
        Permanent: (service_unknown) nothing was released to this namespace yet; (cluster_denied)
        Temporary: (cluster_unavailable) the load balancer has no address yet, or the cluster does not answer.
    """
    found = cluster.get("Service", service)
    if found is None:
        raise Permanent(
            Reason.SERVICE_UNKNOWN,
            f"There is no Service {service} in namespace {cluster.namespace}: release it first.",
        )
    spec = found["spec"]
    port = spec["ports"][0]
    if spec.get("type") == "NodePort":
        # The sandbox's node answers on loopback alone.
        return f"http://127.0.0.1:{port['nodePort']}"
    if spec.get("type") != "LoadBalancer":
        return f"http://{service}.{cluster.namespace}.svc" + _suffix(port["port"])
    for ingress in (found.get("status") or {}).get("loadBalancer", {}).get("ingress") or []:
        host = ingress.get("hostname") or ingress.get("ip")
        if host:
            return f"http://{host}" + _suffix(port["port"])
    raise Temporary(
        Reason.CLUSTER_UNAVAILABLE,
        f"The load balancer of {service} in {cluster.namespace} has no address yet; ask again in a minute.",
    )


def _suffix(port: int) -> str:
    return "" if port == 80 else f":{port}"
