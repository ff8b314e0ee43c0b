"""A Kubernetes cluster, through an Airflow connection of type `kubernetes`; the provider's operators connect."""

from __future__ import annotations

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
