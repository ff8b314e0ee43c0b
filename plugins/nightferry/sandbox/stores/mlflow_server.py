"""MLflow's server, where `nightferry up --with mlflow` asks for it: its registry in SQLite, its artifacts on disk."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from nightferry.sandbox.layout import ADDRESS, Layout
from nightferry.sandbox.supervise.parts import Part
from nightferry.sandbox.supervise.probes import Http

NAME = "mlflow"
RESTART = "nightferry.sandbox.supervise.restart"
STARTUP_SECONDS = 180.0
"""It imports for half a minute, and makes its database the first time."""
QUIET = {
    # By default it starts seven consumers of jobs, 240 MB each.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # It is started in the state folder, whose `mlflow` is no package.
    "PYTHONSAFEPATH": "1",
}


def command(python: Path, folder: Path, host: str, port: int) -> list[str]:
    """The words that start a server whose database and artifacts are in `folder`."""
    options = {
        "backend-store-uri": f"sqlite:///{folder}/registry.db",
        "artifacts-destination": str(folder / "artifacts"),
        "host": host,
        "port": str(port),
        # Whoever names it otherwise is a page of another site, in somebody's browser; a proxy on this machine is none.
        "allowed-hosts": f"{host}:*,127.0.0.1:*",
        "workers": "1",
    }
    return [str(python), "-m", "mlflow", "server", *(f"--{name}={value}" for name, value in options.items())]


def url(ports: Mapping[str, int]) -> str:
    """The server's address."""
    return f"http://{ADDRESS}:{ports[NAME]}"


def part(layout: Layout, ports: Mapping[str, int], python: Path) -> Part:
    """The server, on the bridge as Azurite is: pods and the machine use one and the same address."""
    folder = layout.folder(NAME, owned=True)
    return Part(
        name=NAME,
        # A killed server leaves its worker behind, which holds the port.
        command=(sys.executable, "-m", RESTART, *command(python, folder, ADDRESS, ports[NAME])),
        environment={**QUIET, "PYTHONPATH": str(layout.root / "plugins")},
        probe=Http(f"{url(ports)}/health"),
        address=url(ports),
        owned=True,
        deadline=STARTUP_SECONDS,
    )
