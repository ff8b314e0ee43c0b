"""The gateway: what its two programs are told, what the cluster is told, and in which order."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.sandbox.gateway_steps import GatewaySteps
from nightferry.sandbox.kubernetes import cluster_objects, files, gateway, gateway_objects
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import packages, ports
from nightferry.sandbox.supervise.kube_api import object_path

PORTS = {port.name: port.usual for port in ports.PORTS}
WRITTEN = {
    "static_resources": {"clusters": [{"name": "contour"}, {"name": "envoy-admin"}]},
    "dynamic_resources": {"lds_config": {}},
    "admin": {"access_log": [], "address": {"pipe": {"path": "/run/envoy.sock", "mode": 420}}},
}
"""As much as counts of what `contour bootstrap` writes."""


class Api:
    """An API server that needs a while until it serves what it was told of."""

    def __init__(self, asked_before: int = 0) -> None:
        self.applied: list[str] = []
        self._left = asked_before

    def apply(self, thing: dict[str, Any]) -> None:
        if thing["apiVersion"] == gateway_objects.VERSION and self._left > 0:
            raise Temporary(Reason.CLUSTER_UNAVAILABLE, "The cluster refused it: 404")
        self.applied.append(object_path(thing))

    def serves(self, version: str, plural: str) -> bool:
        self._left -= 1
        return self._left < 0


KIND = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "httproutes.gateway.networking.k8s.io"},
}


def test_the_cluster_is_told_of_the_kinds_before_it_is_given_any() -> None:
    api = Api(asked_before=3)
    waited: list[float] = []
    gateway_objects.apply(api, [KIND], 8880, clock=lambda: sum(waited), sleep=waited.append)  # type: ignore[arg-type]
    assert api.applied == [
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/httproutes.gateway.networking.k8s.io",
        "/api/v1/namespaces/gateway",
        "/apis/gateway.networking.k8s.io/v1/gatewayclasses/nightferry",
        "/apis/gateway.networking.k8s.io/v1/namespaces/gateway/gateways/users",
        "/apis/gateway.networking.k8s.io/v1/namespaces/gateway/httproutes/nobody",
    ]
    assert len(waited) == 3


def test_kinds_that_are_never_served_are_an_error() -> None:
    waited: list[float] = []
    with pytest.raises(Permanent) as caught:
        gateway_objects.apply(Api(10**6), [], 8880, clock=lambda: sum(waited), sleep=waited.append)  # type: ignore[arg-type]
    assert caught.value.reason == Reason.SANDBOX_FAILED
    assert "gatewayclasses" in caught.value.sentence


def test_routes_come_from_the_environments_namespaces() -> None:
    [listener] = next(one for one in gateway_objects.objects(8880) if one["kind"] == "Gateway")["spec"]["listeners"]
    wanted = listener["allowedRoutes"]["namespaces"]["selector"]["matchLabels"]
    of_namespaces = {
        one["metadata"]["name"]: one["metadata"]["labels"]
        for one in cluster_objects.objects()
        if one["kind"] == "Namespace"
    }
    assert all(wanted.items() <= of_namespaces[name].items() for name in ("staging", "production"))


def test_the_gateways_objects_are_marked_and_its_namespace_is_restricted() -> None:
    for one in gateway_objects.objects(8880):
        assert one["metadata"]["labels"][names.MANAGED_BY] == "nightferry"
    namespace = gateway_objects.objects(8880)[0]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert json.loads(json.dumps(gateway_objects.objects(8880))) == gateway_objects.objects(8880)


def test_contour_listens_on_loopback_and_has_envoy_listen_where_no_other_machine_comes(layout: Layout) -> None:
    part = gateway.contour(layout, PORTS, Path("/cache/contour"))
    options = dict(word.removeprefix("--").split("=", 1) for word in part.command if "=" in word)
    given = {name: value for name, value in options.items() if name.endswith("address")}
    # Every one that `contour serve --help` has, but for that of Ingress objects.
    assert set(given) == {
        *("xds-address", "http-address", "health-address", "debug-http-address", "stats-address"),
        *("envoy-service-http-address", "envoy-service-https-address"),
    }
    # What users and deployers reach: Envoy's listener and its figures.
    bridge = {name for name in given if name.startswith(("envoy-service", "stats"))}
    assert {given[name] for name in bridge} == {"10.244.0.1"}
    others = {value for name, value in given.items() if name not in bridge}
    assert all(ipaddress.ip_address(value).is_loopback for value in others)
    file = json.loads(Path(options["config-path"]).read_text(encoding="utf-8"))
    assert file["gateway"]["gatewayRef"] == {"name": "users", "namespace": "gateway"}
    assert file["network"] == {"admin-port": PORTS["envoy-admin"]}  # on loopback; left out it is 9001, taken or not


def test_envoy_listens_on_loopback_too_and_hands_on_to_the_gateway() -> None:
    made = gateway.bootstrap(WRITTEN, PORTS)
    [listener] = made["static_resources"]["listeners"]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 8880}
    *contours, local = made["static_resources"]["clusters"]
    assert [cluster["name"] for cluster in contours] == ["contour", "envoy-admin"]
    [group] = local["load_assignment"]["endpoints"]
    [to] = group["lb_endpoints"]
    assert to["endpoint"]["address"]["socket_address"] == {"address": "10.244.0.1", "port_value": 8880}
    assert made["dynamic_resources"] == WRITTEN["dynamic_resources"]
    assert "listeners" not in WRITTEN["static_resources"]


def test_envoys_administration_is_its_owners_alone() -> None:
    pipe = gateway.bootstrap(WRITTEN, PORTS)["admin"]["address"]["pipe"]
    assert pipe == {"path": "/run/envoy.sock", "mode": 0o600}


def test_envoy_leaves_no_shared_memory_and_is_not_root(layout: Layout, tmp_path: Path) -> None:
    contour = tmp_path / "contour"
    contour.write_text(f"#!/bin/sh\ncat > $2 <<END\n{json.dumps(WRITTEN)}\nEND\n")
    contour.chmod(0o755)
    part = gateway.envoy(layout, PORTS, Path("/cache/envoy"), contour)
    assert "--disable-hot-restart" in part.command
    assert part.owned
    file = Path(part.command[part.command.index("-c") + 1])
    assert json.loads(file.read_text(encoding="utf-8")) == gateway.bootstrap(WRITTEN, PORTS)
    assert layout.envoy_socket.parent.stat().st_mode & 0o777 == 0o700


def test_envoy_listens_where_users_call_it() -> None:
    """Contour has it listen 8000 higher than the Gateway says; whichever port is chosen, the Gateway has one."""
    for called in (PORTS["gateway"], PORTS["gateway"] + ports.TRIES):
        [made] = [one for one in gateway_objects.objects(called) if one["kind"] == "Gateway"]
        [listener] = made["spec"]["listeners"]
        assert 1 <= listener["port"] == called - 8000


def test_the_name_server_answers_for_the_gateway(layout: Layout) -> None:
    text = files.corefile(layout)
    assert re.search(r'template IN A nightferry\.test \{\s+answer "\{\{ \.Name \}\} 30 IN A 10\.244\.0\.1"\s+\}', text)
    main = (layout.root / "sandbox" / "cmd" / "coredns" / "main.go").read_text(encoding="utf-8")
    known = re.findall(r'"([a-z]+)"', main.partition("Directives")[2])
    used = {line.split()[0] for line in text.splitlines()[1:] if re.match(r"    [a-z]", line)}
    assert used <= set(known)
    assert known.index("template") < known.index("forward")


def test_names_below_localhost_are_installed_where_nobody_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for knows, absent in ((True, []), (False, ["libnss-myhostname"])):
        monkeypatch.setattr(packages, "knows_local_names", lambda knows=knows: knows)
        assert packages.missing(packages.LOCAL_NAMES) == absent


def test_the_steps_need_what_there_is(layout: Layout) -> None:
    """A need that is not among the steps counts as done, so that a wrong word would go unseen."""
    up = (layout.root / "plugins" / "nightferry" / "sandbox" / "up.py").read_text(encoding="utf-8")
    others = set(re.findall(r'(?:Step|_start)\(\s*"([a-z -]+)"', up))
    steps = GatewaySteps(layout, PORTS, None, None, None).steps()  # type: ignore[arg-type]
    ours = {step.name for step in steps}
    assert {need for step in steps for need in step.needs} <= others | ours
