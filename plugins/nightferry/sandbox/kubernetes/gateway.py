"""The gateway: Contour, which reads the cluster's routes, and Envoy, which follows them.

Both are processes of the machine, which reaches pods over the bridge. Envoy listens on the bridge, where pods and the
machine reach it, and on loopback, where the names below `.localhost` lead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nightferry.entities.service_file.gateway import NAMESPACE
from nightferry.sandbox.kubernetes.gateway_objects import NAME
from nightferry.sandbox.layout import ADDRESS, Layout
from nightferry.sandbox.machine import commands
from nightferry.sandbox.supervise.parts import Part
from nightferry.sandbox.supervise.probes import Envoy, Http

LOOPBACK = "127.0.0.1"
LOCAL = "local"
THREADS = 2
OWNERS_ALONE = 0o600


def address(ports: Mapping[str, int]) -> str:
    """Where the gateway is called."""
    return f"http://{ADDRESS}:{ports['gateway']}"


def metrics(ports: Mapping[str, int]) -> str:
    """Where Envoy tells its figures."""
    return f"http://{ADDRESS}:{ports['envoy-stats']}"


def contour(layout: Layout, ports: Mapping[str, int], program: Path) -> Part:
    """What tells Envoy of the cluster's routes."""
    file = layout.folder("gateway", owned=True) / "contour.json"
    layout.write(file, json.dumps(configuration(ports), indent=2) + "\n")
    # The addresses say where nobody of another machine comes; Contour's own defaults are every address.
    options = {
        "config-path": file,
        "kubeconfig": layout.kubeconfig("contour"),
        "xds-address": LOOPBACK,
        "xds-port": ports["contour-xds"],
        "http-address": LOOPBACK,
        "http-port": ports["contour"],
        "health-address": LOOPBACK,
        "health-port": ports["contour"],
        "debug-http-address": LOOPBACK,
        "debug-http-port": ports["contour-debug"],
        # On the bridge, where deployers' pods come from; it answers to /stats and /ready, and changes nothing.
        "stats-address": ADDRESS,
        "stats-port": ports["envoy-stats"],
        "envoy-service-http-address": ADDRESS,
        "envoy-service-https-address": ADDRESS,
        "contour-cafile": "",
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    health = f"http://{LOOPBACK}:{ports['contour']}/healthz"
    return Part(
        name="contour",
        command=(str(program), "serve", "--insecure", "--disable-leader-election", *words),
        probe=Http(health),
        address=health.removesuffix("/healthz"),
    )


def configuration(ports: Mapping[str, int]) -> dict[str, Any]:
    """Contour's file: the Gateway that it serves, where Envoy can be looked at, and no line for each request.

    Such lines would go to the supervisor's pipe, which Envoy may not open where it is not root's: it would not listen.
    """
    return {
        "gateway": {"gatewayRef": {"name": NAME, "namespace": NAMESPACE}},
        "network": {"admin-port": ports["envoy-admin"]},
        "accesslog-level": "disabled",
    }


def envoy(layout: Layout, ports: Mapping[str, int], program: Path, contour_program: Path) -> Part:
    """What users' connections end in."""
    socket = layout.envoy_socket
    socket.parent.mkdir(mode=0o700, exist_ok=True)
    layout.owner.take(socket.parent)
    file = layout.folder("gateway", owned=True) / "envoy.json"
    whole = bootstrap(_written(layout, ports, contour_program), ports)
    layout.write(file, json.dumps(whole, indent=2) + "\n", owned=True)
    options = ["--service-cluster", "contour", "--service-node", "nightferry", "--concurrency", str(THREADS)]
    # Restarted hot it would leave shared memory behind.
    options += ["--disable-hot-restart", "--log-level", "warning"]
    return Part(
        name="envoy",
        command=(str(program), "-c", str(file), *options),
        probe=Envoy(str(socket), address(ports)),
        address=address(ports),
        owned=True,
    )


def _written(layout: Layout, ports: Mapping[str, int], contour_program: Path) -> dict[str, Any]:
    """Where Envoy finds Contour, in Contour's own words."""
    file = layout.folder("gateway", owned=True) / "bootstrap.json"
    options = {
        "xds-address": LOOPBACK,
        "xds-port": ports["contour-xds"],
        "xds-resource-version": "v3",
        "admin-address": layout.envoy_socket,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    commands.run([str(contour_program), "bootstrap", str(file), *words])
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return found


def bootstrap(written: Mapping[str, Any], ports: Mapping[str, int]) -> dict[str, Any]:
    """Envoy's first configuration: Contour's, and beside what Contour has it listen on the same port of loopback.

    Contour knows one address for all listeners. The one of loopback hands on bytes, so that a connection there is one
    to the gateway, whatever is spoken on it.
    """
    where = {"socket_address": {"address": ADDRESS, "port_value": ports["gateway"]}}
    proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": LOCAL,
        "cluster": LOCAL,
    }
    listener = {
        "name": LOCAL,
        "address": {"socket_address": {"address": LOOPBACK, "port_value": ports["gateway"]}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}],
    }
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": where}}]}]
    cluster = {
        "name": LOCAL,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": LOCAL, "endpoints": endpoints},
    }
    static, admin = written["static_resources"], written["admin"]
    clusters, listeners = static.get("clusters", []), static.get("listeners", [])
    pipe = {**admin["address"]["pipe"], "mode": OWNERS_ALONE}
    return {
        **written,
        "static_resources": {**static, "clusters": [*clusters, cluster], "listeners": [*listeners, listener]},
        "admin": {**admin, "address": {"pipe": pipe}},
    }
