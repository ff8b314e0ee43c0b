"""Parts that keep or make things: the registry, Azurite, BuildKit, and a Docker engine where the machine has none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from nightferry.sandbox import secrets_files
from nightferry.sandbox.layout import ADDRESS, Layout
from nightferry.sandbox.machine import cgroups, commands
from nightferry.sandbox.supervise.parts import Part
from nightferry.sandbox.supervise.probes import Command, Http, UnixHttp

BUILDKIT_CACHE = "10GB"
"""What BuildKit keeps of former builds at most."""


def registry(layout: Layout, ports: Mapping[str, int]) -> Part:
    """The image registry, on loopback, with deletion switched on."""
    address = f"127.0.0.1:{ports['registry']}"
    folder = layout.folder("registry", owned=True)
    configuration = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder)},
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": "inmemory"},
            "maintenance": {"uploadpurging": {"enabled": True, "age": "24h", "interval": "24h", "dryrun": False}},
        },
        "http": {"addr": address, "secret": secrets_files.read(layout, "registry")},
    }
    file = folder / "config.yml"
    layout.write(file, json.dumps(configuration, indent=2) + "\n", owned=True)
    return Part(
        name="registry",
        command=(commands.require("docker-registry", "docker-registry"), "serve", str(file)),
        probe=Http(f"http://{address}/v2/"),
        address=address,
        owned=True,
    )


def azurite(layout: Layout, ports: Mapping[str, int], program: Sequence[str]) -> Part:
    """Azure's Blob service, on the bridge, so that pods and the machine use one and the same address."""
    return _azurite("azurite", "blob", storage_url(ports), layout, ports, program)


def azurite_queue(layout: Layout, ports: Mapping[str, int], program: Sequence[str]) -> Part:
    """Azure's Queue service of the same account, for the events that Event Grid sends elsewhere."""
    return _azurite("azurite-queue", "queue", queue_url(ports), layout, ports, program)


def _azurite(
    name: str, service: str, address: str, layout: Layout, ports: Mapping[str, int], program: Sequence[str]
) -> Part:
    port, folder = ports[name], layout.folder(name, owned=True)
    options = [f"--{service}Host", ADDRESS, f"--{service}Port", str(port), "--location", str(folder)]
    # A newer client's API version is accepted, and nothing is reported to its makers.
    options += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    return Part(
        name=name,
        command=(*program, *options),
        environment={"AZURITE_ACCOUNTS": f"{secrets_files.ACCOUNT}:{secrets_files.read(layout, 'storage-key')}"},
        probe=Http(f"http://{ADDRESS}:{port}/", any_answer=True),
        address=address,
        owned=True,
    )


def queue_url(ports: Mapping[str, int]) -> str:
    """The account's queues."""
    return f"http://{ADDRESS}:{ports['azurite-queue']}/{secrets_files.ACCOUNT}"


def storage_url(ports: Mapping[str, int]) -> str:
    """The Blob account that Azurite serves."""
    return f"http://{ADDRESS}:{ports['azurite']}/{secrets_files.ACCOUNT}"


def buildkitd(layout: Layout, registry_address: str | None, program: Path, buildctl: Path) -> Part:
    """BuildKit with its own runc worker; its socket is the owner's."""
    folder = layout.folder("buildkit")
    address = f"unix://{layout.buildkit_socket}"
    lines = [
        f"root = {json.dumps(str(folder))}",
        "[grpc]",
        f"  address = [{json.dumps(address)}]",
        f"  uid = {layout.owner.uid}",
        f"  gid = {layout.owner.gid}",
        "[worker.oci]",
        "  enabled = true",
        # Builds use the machine's own network, as it is.
        '  networkMode = "host"',
        f'  cgroupParent = "/{cgroups.GROUP}/buildkit"',
        f'  maxUsedSpace = "{BUILDKIT_CACHE}"',
        "[worker.containerd]",
        "  enabled = false",
        "[history]",
        "  maxEntries = 50",
    ]
    if registry_address:
        lines += [f"[registry.{json.dumps(registry_address)}]", "  http = true"]
    file = folder / "buildkitd.toml"
    layout.write(file, "\n".join(lines) + "\n")
    return Part(
        name="buildkitd",
        command=(str(program), "--config", str(file)),
        probe=Command((str(buildctl), "--addr", address, "--timeout", "3", "debug", "workers")),
        address=address,
    )


def dockerd(layout: Layout) -> Part:
    """A Docker engine of our own, beside none or beside one that does not answer us."""
    folder = layout.folder("docker")
    file = folder / "daemon.json"
    # A configuration of our own, empty, so that one in /etc is not read: the options below are all there is.
    layout.write(file, "{}\n")
    options = {
        "host": f"unix://{layout.docker_socket}",
        "config-file": str(file),
        "data-root": str(folder / "data"),
        "exec-root": str(layout.runtime / "docker"),
        "pidfile": str(layout.runtime / "dockerd.pid"),
        "group": str(layout.owner.gid),
        "ip": "127.0.0.1",
        "exec-opt": "native.cgroupdriver=cgroupfs",
        "cgroup-parent": f"/{cgroups.GROUP}/docker",
        "oom-score-adjust": "0",
        "log-level": "warn",
    }
    return Part(
        name="dockerd",
        command=(
            commands.require("dockerd", "docker.io"),
            *(f"--{name}={value}" for name, value in options.items()),
        ),
        probe=UnixHttp(str(layout.docker_socket), "/_ping"),
        address=f"unix://{layout.docker_socket}",
        stop_seconds=20,
    )
