"""`nightferry down` and `clean`: everything ends; the data stays, or goes."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import leftovers, mounts, network, ownership
from nightferry.sandbox.progress import Progress
from nightferry.sandbox.supervise.supervision import Supervisor

STARTERS = ("kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns")
"""Parts that would start again what is ended next."""
LAST = "etcd"
"""It ends after all that write to it, in its own time."""
CNI_RESULTS = (Path("/var/lib/cni/results"), Path("/var/lib/cni/cache/results"))
CONTAINER_LOGS = Path("/var/log/containers")


def down(layout: Layout, progress: Progress) -> bool:
    """Stop the sandbox. Says whether there was anything to stop."""
    layout.runtime.mkdir(mode=0o755, exist_ok=True)
    with ownership.exclusively(layout):
        holder = ownership.holder(layout)
        if holder is None or holder.home != layout.home:
            return False
        supervisor = Supervisor(layout)
        names = set(supervisor.processes())
        airflow = {name for name in names if name.startswith("airflow-")}
        if airflow:
            with progress.step("stop Airflow and what starts containers"):
                supervisor.stop([*airflow, *(names & set(STARTERS))])
        with progress.step("stop containers"):
            leftovers.end_containers()
        if names:
            with progress.step("stop the other parts"):
                supervisor.stop(sorted(names - {LAST}))
                supervisor.stop([LAST])
                supervisor.shutdown()
        with progress.step("clear mounts and network"):
            leftovers.end(layout)
            network.remove(docker=holder.own_docker)
            _forget_containers(layout)
        ownership.release(layout)
    return True


def clean(layout: Layout, progress: Progress) -> None:
    """Stop the sandbox and remove its data: models, images, ledger, Airflow's history, secrets. The cache stays."""
    down(layout, progress)
    if layout.database.exists():
        with progress.step(f"remove {layout.database}"):
            shutil.rmtree(layout.database)
            with contextlib.suppress(OSError):  # another sandbox's is there
                layout.data.rmdir()
    with progress.step(f"remove {layout.home}"):
        if layout.home.exists():
            mounts.detach([layout.home])
            shutil.rmtree(layout.home)


def _forget_containers(layout: Layout) -> None:
    """Remove what Kubernetes' programs wrote outside our folders."""
    for folder in CNI_RESULTS:
        for path in folder.glob("nightferry-*") if folder.is_dir() else ():
            path.unlink(missing_ok=True)
    if CONTAINER_LOGS.is_dir():
        for link in CONTAINER_LOGS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(layout.home):
                link.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            CONTAINER_LOGS.rmdir()
