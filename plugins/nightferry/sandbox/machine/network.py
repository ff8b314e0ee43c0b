"""The bridge between the machine and its pods, and what must be gone again when the sandbox stops."""

from __future__ import annotations

import contextlib
import ipaddress
import json
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.layout import ADDRESS, BRIDGE, POD_NETWORK, SERVICE_NETWORK
from nightferry.sandbox.machine import commands, firewall

DOCKER_BRIDGE = "docker0"


def ensure() -> None:
    """Make the bridge with its address. It must exist before the parts that listen on it.

    Raises:
        Permanent: (sandbox_failed) another interface of this machine has these addresses.
    """
    if not exists(BRIDGE):
        _refuse_overlap()
        commands.run(["ip", "link", "add", BRIDGE, "type", "bridge"])
    commands.run(["ip", "address", "replace", f"{ADDRESS}/24", "dev", BRIDGE])
    commands.run(["ip", "link", "set", BRIDGE, "up"])
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    _see_bridged_packets()


def remove(*, docker: bool) -> None:
    """Take the bridge and the packet rules of the cluster away; Docker's too where the engine was ours."""
    firewall.remove_cluster_rules()
    if docker:
        firewall.remove_docker_rules()
    for name in [BRIDGE, *([DOCKER_BRIDGE] if docker else [])]:
        if exists(name):
            commands.run(["ip", "link", "delete", name])


def exists(interface: str) -> bool:
    """Whether the machine has this interface."""
    return Path("/sys/class/net", interface).exists()


def _refuse_overlap() -> None:
    taken = json.loads(commands.run(["ip", "-json", "-4", "route", "show"]) or "[]")
    for route in taken:
        if route.get("dst") in {"default", None}:
            continue
        there = ipaddress.ip_network(route["dst"], strict=False)
        for ours in (POD_NETWORK, SERVICE_NETWORK):
            if there.overlaps(ipaddress.ip_network(ours)):
                sentence = (
                    f"The sandbox's cluster needs the addresses {ours}, but this machine routes {there} to "
                    f"{route.get('dev', 'elsewhere')}: end what uses them, or give a cluster of your own "
                    "with NIGHTFERRY_KUBECONFIG."
                )
                raise Permanent(Reason.SANDBOX_FAILED, sentence)


def _see_bridged_packets() -> None:
    """Let packets between two pods pass iptables, or a pod could not reach another through a Service's address."""
    if not commands.succeeds(["modprobe", "br_netfilter"]):
        pass  # built into the kernel, or absent: then the file below tells
    switch = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    with contextlib.suppress(FileNotFoundError):
        switch.write_text("1", encoding="ascii")
