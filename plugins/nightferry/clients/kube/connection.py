"""Open a cluster: with the kubeconfig that the settings name, else with the pod's own service account.

Airflow knows clusters by its connections. The command line and the deployer have none: the deployer's cluster is the
one it runs in, and people name a kubeconfig for each connection in their settings.
"""

from __future__ import annotations

import os

from nightferry.clients.kube.cluster import KubeCluster
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import CLUSTER
from nightferry.errors import Permanent
from nightferry.settings import Settings, how_to_set


def open_cluster(settings: Settings, namespace: str, connection: str = CLUSTER) -> KubeCluster:
    """A namespace of a cluster. Nothing is asked of it yet; an ambient KUBECONFIG does not count.

    Args:
        connection: the Airflow connection by which service files know the cluster.

    Raises:
        Permanent: (setting_missing) no kubeconfig is named for it, and for the usual connection there is no service
            account either; or the Kubernetes client is not installed. (cluster_denied) the kubeconfig cannot be read.
    """
    import yaml

    try:
        from kubernetes import client, config
    except ImportError as fault:
        raise Permanent(
            Reason.SETTING_MISSING,
            "The cluster cannot be asked, as the Kubernetes client is not installed: "
            "pip install 'nightferry[kubernetes]'.",
        ) from fault

    configuration = client.Configuration()
    kubeconfig = kubeconfig_of(settings, connection)
    try:
        if kubeconfig:
            config.load_kube_config(kubeconfig, client_configuration=configuration, persist_config=False)
        else:
            config.load_incluster_config(client_configuration=configuration)
    except (config.ConfigException, yaml.YAMLError, OSError) as fault:
        if kubeconfig:
            raise Permanent(
                Reason.CLUSTER_DENIED, f"The kubeconfig {kubeconfig} cannot be used: {_line(fault)}. Check the file."
            ) from fault
        raise Permanent(
            Reason.SETTING_MISSING,
            f"The setting NIGHTFERRY_KUBECONFIG is missing: {how_to_set()}.",
        ) from fault
    # One that is not there is asked again by PatientCluster, and by whoever waits, with their own patience.
    configuration.retries = False
    return KubeCluster(client.ApiClient(configuration), namespace)


def kubeconfig_of(settings: Settings, connection: str) -> str | None:
    """The kubeconfig of a cluster; None where it is the cluster that this process runs in.

    Another cluster than the one asked for is never the answer.

    Raises:
        Permanent: (setting_missing) none is named for a connection other than the usual one.
    """
    if found := settings.kubeconfigs.get(connection):
        return str(found)
    if connection == CLUSTER:
        return str(settings.kubeconfig) if settings.kubeconfig else None
    raise Permanent(
        Reason.SETTING_MISSING,
        f"No kubeconfig is known for the cluster {connection}: name one in NIGHTFERRY_KUBECONFIGS, as "
        f"{connection}=FILE; several with {os.pathsep!r} between them.",
    )


def _line(fault: Exception) -> str:
    return " ".join(str(fault).split()).rstrip(".")
