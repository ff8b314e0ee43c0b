"""The one-node Kubernetes: its control plane, its runtime and its name server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from nightferry.sandbox.kubernetes import files as kubernetes_files
from nightferry.sandbox.kubernetes import kubeconfigs, pki
from nightferry.sandbox.kubernetes.pki import Pki
from nightferry.sandbox.layout import ADDRESS, NODE, SERVICE_NETWORK, Layout
from nightferry.sandbox.machine import commands
from nightferry.sandbox.supervise.parts import Part
from nightferry.sandbox.supervise.probes import Command, Dns, Http, Node

NAMES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "coredns",
)


def server(ports: Mapping[str, int]) -> str:
    """The API server's address."""
    return f"https://{ADDRESS}:{ports['kube-apiserver']}"


def all_parts(
    layout: Layout,
    ports: Mapping[str, int],
    programs: Mapping[str, Path],
    *,
    pause_image: str,
    registry: str | None,
    plugins: Path,
) -> list[Part]:
    """Every part of the cluster, its files written.

    Args:
        programs: `nightferry-kube` and `coredns`.
        pause_image: what holds a pod's namespaces; pulled when the first pod starts.
        registry: our plain-HTTP registry, where it is ours.
        plugins: the folder of the CNI plugins.
    """
    certificates = pki.ensure(layout)
    kubeconfigs.ensure(layout, certificates, server(ports))
    kube = str(programs["nightferry-kube"])
    return [
        _etcd(layout, ports, kube, certificates),
        _apiserver(layout, ports, kube, certificates),
        _controller_manager(layout, ports, kube, certificates),
        _scheduler(layout, ports, kube),
        _containerd(layout, pause_image, registry, plugins),
        _kubelet(layout, ports, kube, certificates),
        _proxy(layout, ports, kube),
        _coredns(layout, programs["coredns"]),
    ]


def _options(**options: object) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


def _etcd(layout: Layout, ports: Mapping[str, int], kube: str, certificates: Pki) -> Part:
    client, peer = f"https://127.0.0.1:{ports['etcd']}", f"https://127.0.0.1:{ports['etcd-peer']}"
    (layout.kubernetes / "etcd").mkdir(mode=0o700, parents=True, exist_ok=True)
    files = {"cert_file": certificates.certificate("etcd"), "key_file": certificates.key("etcd")}
    options = _options(
        name=NODE,
        data_dir=layout.kubernetes / "etcd",
        listen_client_urls=client,
        advertise_client_urls=client,
        listen_peer_urls=peer,
        initial_advertise_peer_urls=peer,
        initial_cluster=f"{NODE}={peer}",
        client_cert_auth="true",
        trusted_ca_file=certificates.ca,
        peer_client_cert_auth="true",
        peer_trusted_ca_file=certificates.ca,
        log_level="warn",
        **files,
        **{f"peer_{name}": file for name, file in files.items()},
    )
    return Part(
        name="etcd",
        command=(kube, "etcd", *options),
        probe=Http(f"{client}/health", tls=certificates.client("etcd-client")),
        address=client,
        stop_seconds=20,
    )


def _apiserver(layout: Layout, ports: Mapping[str, int], kube: str, certificates: Pki) -> Part:
    options = _options(
        bind_address=ADDRESS,
        advertise_address=ADDRESS,
        secure_port=ports["kube-apiserver"],
        tls_cert_file=certificates.certificate("apiserver"),
        tls_private_key_file=certificates.key("apiserver"),
        client_ca_file=certificates.ca,
        anonymous_auth="false",
        authorization_mode="Node,RBAC",
        enable_admission_plugins="NodeRestriction",
        etcd_servers=f"https://127.0.0.1:{ports['etcd']}",
        etcd_cafile=certificates.ca,
        etcd_certfile=certificates.certificate("etcd-client"),
        etcd_keyfile=certificates.key("etcd-client"),
        kubelet_certificate_authority=certificates.ca,
        kubelet_client_certificate=certificates.certificate("apiserver-kubelet-client"),
        kubelet_client_key=certificates.key("apiserver-kubelet-client"),
        # The node's name is known to nobody's name server.
        kubelet_preferred_address_types="InternalIP",
        service_account_issuer="https://kubernetes.default.svc.cluster.local",
        service_account_key_file=certificates.certificate("service-accounts"),
        service_account_signing_key_file=certificates.key("service-accounts"),
        service_cluster_ip_range=SERVICE_NETWORK,
        allow_privileged="false",
        profiling="false",
        shutdown_delay_duration="0s",
    )
    return Part(
        name="kube-apiserver",
        command=(kube, "kube-apiserver", *options),
        probe=Http(f"{server(ports)}/readyz", tls=certificates.client("admin")),
        address=server(ports),
        stop_seconds=15,
    )


def _controller_manager(layout: Layout, ports: Mapping[str, int], kube: str, certificates: Pki) -> Part:
    port = ports["kube-controller-manager"]
    options = _options(
        kubeconfig=layout.kubeconfig("controller-manager"),
        bind_address="127.0.0.1",
        secure_port=port,
        leader_elect="false",
        profiling="false",
        root_ca_file=certificates.ca,
        service_account_private_key_file=certificates.key("service-accounts"),
        use_service_account_credentials="true",
    )
    return Part(
        name="kube-controller-manager",
        command=(kube, "kube-controller-manager", *options),
        probe=Http(f"https://127.0.0.1:{port}/healthz"),
        address=f"https://127.0.0.1:{port}",
    )


def _scheduler(layout: Layout, ports: Mapping[str, int], kube: str) -> Part:
    port = ports["kube-scheduler"]
    options = _options(
        kubeconfig=layout.kubeconfig("scheduler"),
        bind_address="127.0.0.1",
        secure_port=port,
        leader_elect="false",
        profiling="false",
    )
    return Part(
        name="kube-scheduler",
        command=(kube, "kube-scheduler", *options),
        probe=Http(f"https://127.0.0.1:{port}/healthz"),
        address=f"https://127.0.0.1:{port}",
    )


def _containerd(layout: Layout, pause_image: str, registry: str | None, plugins: Path) -> Part:
    folder = layout.folder("containerd")
    file = folder / "config.toml"
    layout.write(file, kubernetes_files.containerd(layout, pause_image, plugins))
    layout.write(
        folder / "cni" / "10-nightferry.conflist", json.dumps(kubernetes_files.network(layout), indent=2) + "\n"
    )
    if registry:
        layout.write(folder / "certs.d" / registry / "hosts.toml", kubernetes_files.registry_hosts(registry))
    ctr = commands.require("ctr", "containerd")
    return Part(
        name="containerd",
        command=(commands.require("containerd", "containerd"), "--config", str(file)),
        probe=Command((ctr, "--address", str(layout.containerd_socket), "--timeout", "3s", "version")),
        address=f"unix://{layout.containerd_socket}",
    )


def _kubelet(layout: Layout, ports: Mapping[str, int], kube: str, certificates: Pki) -> Part:
    folder = layout.kubernetes / "kubelet"
    file = folder / "config.yaml"
    layout.write(file, json.dumps(kubernetes_files.kubelet(layout, certificates, ports), indent=2) + "\n")
    options = _options(
        config=file,
        kubeconfig=layout.kubeconfig("kubelet"),
        root_dir=folder,
        cert_dir=folder / "pki",
        hostname_override=NODE,
        node_ip=ADDRESS,
    )
    health_port = ports["kubelet-health"]
    return Part(
        name="kubelet",
        command=(kube, "kubelet", *options),
        probe=Node(f"http://127.0.0.1:{health_port}/healthz", server(ports), certificates.client("admin"), NODE),
        address=f"https://{ADDRESS}:{ports['kubelet']}",
    )


def _proxy(layout: Layout, ports: Mapping[str, int], kube: str) -> Part:
    file = layout.kubernetes / "proxy.yaml"
    layout.write(file, json.dumps(kubernetes_files.proxy(layout, ports), indent=2) + "\n")
    return Part(
        name="kube-proxy",
        command=(kube, "kube-proxy", f"--config={file}"),
        probe=Http(f"http://127.0.0.1:{ports['kube-proxy-health']}/healthz"),
        address=f"http://127.0.0.1:{ports['kube-proxy-health']}",
    )


def _coredns(layout: Layout, program: Path) -> Part:
    file = layout.folder("coredns") / "Corefile"
    layout.write(file, kubernetes_files.corefile(layout))
    return Part(
        name="coredns",
        command=(str(program), "-conf", str(file)),
        probe=Dns(ADDRESS, "kubernetes.default.svc.cluster.local"),
        address=f"{ADDRESS}:53",
    )
