"""A Kubernetes cluster, through an Airflow connection of type `kubernetes`; the provider's operators connect."""

from __future__ import annotations

from nightferry.clients.doors.cluster import Cluster
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.hooks.connections import connection

WAYS = ("in_cluster", "kube_config_path", "kube_config")
"""The extras of which a connection has to have one."""


def require_cluster(conn_id: str) -> None:
    """Make sure that the connection itself names a cluster.

    The provider would otherwise fall back to whatever KUBECONFIG or ~/.kube/config of the worker name, and a release
    would go to a cluster that nobody chose.

    Raises:
        Permanent: (setting_missing) there is no such connection, or it names no cluster.
    """
    extras = connection(conn_id).extra_dejson
    if not any(extras.get(way) or extras.get(f"extra__kubernetes__{way}") for way in WAYS):
        raise Permanent(
            Reason.SETTING_MISSING,
            f"The Airflow connection {conn_id} names no cluster: give it one of the extras {', '.join(WAYS)}.",
        )


def open_cluster(conn_id: str, namespace: str) -> Cluster:
    """A namespace of the connection's cluster; nothing is asked of it yet.

    Raises:
        Permanent: (setting_missing) as `require_cluster`.
    """
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

    from nightferry.clients.kube.cluster import KubeCluster

    require_cluster(conn_id)
    return KubeCluster(KubernetesHook(conn_id=conn_id).get_conn(), namespace)
