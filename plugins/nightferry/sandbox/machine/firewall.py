"""Removal of the packet rules that kube-proxy, the CNI plugins and our Docker engine leave behind.

They made them while they ran and no program of theirs removes all of them, so this reads what `iptables-save` lists and
takes away every chain of theirs and every rule that jumps to one.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable

from nightferry.sandbox.machine import commands

CLUSTER_CHAINS = ("KUBE-", "CNI-")
DOCKER_CHAINS = ("DOCKER",)
FAMILIES = ("iptables", "ip6tables")


def remove_cluster_rules() -> None:
    """Remove the chains of kube-proxy and of the CNI plugins."""
    _remove(lambda chain: chain.startswith(CLUSTER_CHAINS), lambda _rule: False)


def remove_docker_rules() -> None:
    """Remove the chains of Docker, the rules about its bridge, and the policy that it sets for forwarded packets."""
    _remove(lambda chain: chain.startswith(DOCKER_CHAINS), lambda rule: "docker0" in rule or "172.17.0.0/16" in rule)
    for family in FAMILIES:
        if commands.find(family):
            commands.succeeds([family, "-w", "-P", "FORWARD", "ACCEPT"])


def another_cluster() -> bool:
    """Whether kube-proxy's chains are there: before ours started, they are another Kubernetes'."""
    return bool(commands.find("iptables")) and commands.succeeds(
        ["iptables", "-w", "-t", "nat", "-n", "-L", "KUBE-SERVICES"]
    )


def removal(saved: str, ours: Callable[[str], bool], also: Callable[[list[str]], bool]) -> str:
    """What `iptables-restore --noflush` must read to take our chains and rules out of the tables in `saved`."""
    script: list[str] = []
    table = ""
    chains: list[str] = []
    rules: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, chains, rules = line, [], []
        elif line.startswith(":"):
            chain = line[1:].split()[0]
            chains += [chain] if ours(chain) else []
        elif line.startswith("-A "):
            words = shlex.split(line)
            jump = words[words.index("-j") + 1] if "-j" in words else ""
            if not ours(words[1]) and (ours(jump) or also(words)):
                rules.append("-D " + line.removeprefix("-A "))
        elif line == "COMMIT" and (chains or rules):
            script += [
                table,
                *rules,
                *(f"-F {chain}" for chain in chains),
                *(f"-X {chain}" for chain in chains),
                "COMMIT",
            ]
    return "\n".join([*script, ""]) if script else ""


def _remove(ours: Callable[[str], bool], also: Callable[[list[str]], bool]) -> None:
    for family in FAMILIES:
        if commands.find(f"{family}-save"):
            script = removal(commands.run([f"{family}-save"]), ours, also)
            if script:
                commands.run([f"{family}-restore", "-w", "10", "--noflush"], give=script)
