"""The configuration files of the cluster's programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from nightferry.sandbox.kubernetes.pki import Pki
from nightferry.sandbox.layout import ADDRESS, BRIDGE, DOMAIN, NODE, POD_NETWORK, Layout
from nightferry.sandbox.machine import cgroups


def kubelet(layout: Layout, pki: Pki, ports: Mapping[str, int]) -> dict[str, object]:
    """The node's agent: on the bridge, its pods below our control group, its files below the state folder."""
    folder = layout.kubernetes / "kubelet"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "port": ports["kubelet"],
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": ports["kubelet-health"],
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.ca)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki.certificate("kubelet")),
        "tlsPrivateKeyFile": str(pki.key("kubelet")),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroups.GROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [ADDRESS],
        "clusterDomain": "cluster.local",
        "serializeImagePulls": False,
        # A developer's disk is often nearly full; that is no reason to remove images or pods.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "podLogsDir": str(folder / "logs"),
        "volumePluginDir": str(folder / "plugins"),
        "nodeStatusUpdateFrequency": "5s",
    }


def proxy(layout: Layout, ports: Mapping[str, int]) -> dict[str, object]:
    """Services as packet rules; a NodePort answers on loopback alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(layout.kubeconfig("proxy"))},
        "mode": "iptables",
        "hostnameOverride": NODE,
        "clusterCIDR": POD_NETWORK,
        "nodePortAddresses": ["127.0.0.0/8"],
        "healthzBindAddress": f"127.0.0.1:{ports['kube-proxy-health']}",
        "metricsBindAddress": f"127.0.0.1:{ports['kube-proxy-metrics']}",
        # The machine's own limits of tracked connections stay as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"minSyncPeriod": "0.1s"},
    }


def network(layout: Layout) -> dict[str, object]:
    """How a pod gets its address: on the bridge, hidden behind the machine's address towards others."""
    return {
        "cniVersion": "0.4.0",
        "name": "nightferry",
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(layout.runtime / "cni"),
                    "ranges": [[{"subnet": POD_NETWORK, "rangeStart": "10.244.0.10", "gateway": ADDRESS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
            # Docker lets nothing be forwarded that no rule allows: this one allows the pods' packets.
            {"type": "firewall"},
        ],
    }


def containerd(layout: Layout, pause_image: str, plugins: Path) -> str:
    """The cluster's container runtime: an instance of our own, beside any other on the machine."""
    folder = layout.folder("containerd")
    cri = "io.containerd.grpc.v1.cri"
    return f"""version = 2
root = {_text(folder / "root")}
state = {_text(layout.runtime / "containerd")}
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = {_text(layout.containerd_socket)}
[debug]
  level = "warn"
[plugins."{cri}"]
  sandbox_image = {_text(pause_image)}
  # Without the right to lower it, containers keep the score that this process has.
  restrict_oom_score_adj = true
  # So that a stop finds and removes them with everything else of ours.
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."{cri}".cni]
    bin_dir = {_text(plugins)}
    conf_dir = {_text(folder / "cni")}
  [plugins."{cri}".registry]
    config_path = {_text(folder / "certs.d")}
  [plugins."{cri}".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."{cri}".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def registry_hosts(address: str) -> str:
    """containerd's `hosts.toml` for a registry that speaks plain HTTP."""
    return f'server = "http://{address}"\n[host."http://{address}"]\n  capabilities = ["pull", "resolve"]\n'


def corefile(layout: Layout) -> str:
    """The name server: the gateway's names, the cluster's, and the machine's own servers for all others."""
    return f""". {{
    bind {ADDRESS}
    errors
    cache 30
    template IN A {DOMAIN} {{
        answer "{{{{ .Name }}}} 30 IN A {ADDRESS}"
    }}
    # They have an address and nothing else; nobody further is asked.
    template IN ANY {DOMAIN} {{
        rcode NOERROR
    }}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {layout.kubeconfig("coredns")} nightferry
    }}
    forward . /etc/resolv.conf
}}
"""


def _text(value: object) -> str:
    """A string of TOML."""
    return json.dumps(str(value))
