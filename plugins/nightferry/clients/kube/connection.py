"""Open a cluster: with the kubeconfig that the settings name, else with the pod's own service account."""

from __future__ import annotations

from nightferry.clients.kube.cluster import KubeCluster
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.settings import Settings


def open_cluster(settings: Settings, namespace: str) -> KubeCluster:
    """A namespace of the cluster. Nothing is asked of it yet; an ambient KUBECONFIG does not count.

    Raises:
        Permanent: (setting_missing) there is neither NIGHTFERRY_KUBECONFIG nor a service account.
            (cluster_denied) the kubeconfig cannot be read.
    """
    import yaml
    from kubernetes import client, config

    configuration = client.Configuration()
    kubeconfig = settings.get("KUBECONFIG")
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
            "The setting NIGHTFERRY_KUBECONFIG is missing: start the sandbox with `nightferry up`, or set it.",
        ) from fault
    # One that is not there is asked again by PatientCluster, and by whoever waits, with their own patience.
    configuration.retries = False
    return KubeCluster(client.ApiClient(configuration), namespace)


def _line(fault: Exception) -> str:
    return " ".join(str(fault).split()).rstrip(".")
