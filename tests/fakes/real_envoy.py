"""A real Envoy in front of an upstream that takes its time, as Contour would have set it up for two releases."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nightferry.entities.release_id import ReleaseId

TYPES = "type.googleapis.com/envoy.extensions.filters"
AT_ONCE = 8


class _Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        """`/0.02/200`: so many seconds, and this status."""
        _, seconds, status = self.path.split("/")
        time.sleep(float(seconds))
        self.send_response(int(status))
        self.send_header("Content-Length", "0")
        self.end_headers()


class RealEnvoy:
    """Where its figures are, and what sends requests to a release through it."""

    def __init__(self, port: int, admin: int) -> None:
        self._port, self.address = port, f"http://127.0.0.1:{admin}"

    def serve(self, release: str, seconds: Iterable[float], errors: int = 0) -> None:
        """Ask the release for answers that take so long each; the last ones fail."""
        wanted = list(seconds)
        statuses = [200] * (len(wanted) - errors) + [503] * errors
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda each: self._ask(release, *each), zip(wanted, statuses, strict=True)))

    def _ask(self, release: str, seconds: float, status: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request("GET", f"/{seconds:g}/{status}", headers={"Host": release})
        assert connection.getresponse().status == status
        connection.close()


@contextmanager
def real_envoy(program: Path, folder: Path, namespace: str, releases: Iterable[str]) -> Iterator[RealEnvoy]:
    """Run it for a while."""
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    upstream.daemon_threads = True
    upstream.request_queue_size = 64
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    port, admin = _free(), _free()
    file = folder / "envoy.json"
    file.write_text(json.dumps(_configuration(port, admin, upstream.server_port, namespace, releases)))
    command = [str(program), "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, "Envoy ended"
            assert time.monotonic() < deadline, "Envoy does not listen"
            time.sleep(0.05)
        yield RealEnvoy(port, admin)
    finally:
        process.kill()
        process.wait()
        upstream.shutdown()
        upstream.server_close()


def _configuration(port: int, admin: int, upstream: int, namespace: str, releases: Iterable[str]) -> dict[str, Any]:
    hosts, clusters = [], []
    for release in releases:
        name = ReleaseId.parse(release).object_name
        route = {"match": {"prefix": "/"}, "route": {"cluster": f"{namespace}/{name}/80/da39a3ee5e"}}
        hosts.append({"name": name, "domains": [release], "routes": [route]})
        clusters.append(
            {
                "name": f"{namespace}/{name}/80/da39a3ee5e",
                "alt_stat_name": f"{namespace}_{name}_80",
                "connect_timeout": "1s",
                "type": "STATIC",
                "load_assignment": {
                    "cluster_name": name,
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}],
                },
            }
        )
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": hosts},
    }
    listener = {
        "name": "http",
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {
        "admin": {"address": _address(admin)},
        "stats_flush_interval": "0.1s",
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0
