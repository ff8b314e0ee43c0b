"""What is taken out of the packet rules: all of ours, nothing of anyone else's."""

from __future__ import annotations

from nightferry.sandbox.machine.firewall import CLUSTER_CHAINS, removal

SAVED = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:KUBE-FORWARD - [0:0]
:CNI-FORWARD - [0:0]
:ufw-user-input - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -j ufw-user-input
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -j CNI-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A CNI-FORWARD -d 10.244.0.11/32 -j ACCEPT
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
COMMIT
"""


def script() -> str:
    return removal(SAVED, lambda chain: chain.startswith(CLUSTER_CHAINS), lambda _rule: False)


def test_our_chains_and_the_jumps_to_them_go() -> None:
    lines = script().splitlines()
    assert lines == [
        "*filter",
        '-D FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
        "-D FORWARD -j CNI-FORWARD",
        "-F KUBE-FORWARD",
        "-F CNI-FORWARD",
        "-X KUBE-FORWARD",
        "-X CNI-FORWARD",
        "COMMIT",
    ]


def test_nothing_of_ours_is_nothing_to_do() -> None:
    assert removal(SAVED, lambda _chain: False, lambda _rule: False) == ""


def test_a_rule_about_our_bridge_goes_without_its_chain() -> None:
    saved = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n"
    removed = removal(saved, lambda chain: chain.startswith("DOCKER"), lambda rule: "docker0" in rule)
    assert removed == "*nat\n-D POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n"
