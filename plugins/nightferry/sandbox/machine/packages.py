"""The sandbox's parts that the distribution packages: installed with apt where their programs are missing.

Debian 12 or newer, Ubuntu 22.04 or newer. What counts is the program, not the package, so that a Docker or containerd
from another source stays as it is.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.sandbox.progress import Progress, StepFailed, run_logged

SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))

POSTGRESQL = Path("/usr/lib/postgresql")
"""Below it, a folder for each major version."""

DATABASE = ("postgresql",)
REGISTRY = ("docker-registry",)
DOCKER = ("docker.io",)
"""Only where no Docker engine answers."""
BUILDKIT = ("runc",)
KUBERNETES = ("containerd", "runc", "containernetworking-plugins", "iptables", "iproute2", "conntrack")
BASE_IMAGE = ("mmdebstrap",)
"""Only where the public base image cannot be pulled, and for the base of Debian 13."""
DEBIAN_KEYRING = ("debian-archive-keyring",)
DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""What that package holds: the keys that sign Debian's package lists."""
BROWSER = ("chromium", "chromium-driver")
"""Only for `make test`, and only where they are packages: Ubuntu's of that name fetch a snap, which sees no /tmp."""
LOCAL_NAMES = ("libnss-myhostname",)
"""Only where the C library does not know that names below `.localhost` mean this machine."""
PROXY = ("nginx",)
"""Only for `make test`, which asks the service through one."""

PROGRAMS = {
    "docker-registry": "docker-registry",
    "docker.io": "dockerd",
    "runc": "runc",
    "containerd": "containerd",
    "iptables": "iptables",
    "iproute2": "ip",
    "conntrack": "conntrack",
    "mmdebstrap": "mmdebstrap",
    "chromium": "chromium",
    "chromium-driver": "chromedriver",
    "nginx": "nginx",
}

POLICY = "/usr/sbin/policy-rc.d"
"""What Debian's packages ask whether they may start their services."""
CLUSTERS = "/etc/postgresql-common/createcluster.conf"
"""What PostgreSQL's package reads before it makes a database of its own."""
# Run by root. The sandbox runs instances of its own, so no service may be started now or at the next boot: policy-rc.d
# says no for as long as this very process lives, and nothing afterwards, even if this process is killed.
INSTALL = r"""
set -e
export DEBIAN_FRONTEND=noninteractive
policy=$1
clusters=$2
shift 2
if [ ! -e "$policy" ] || grep -q nightferry "$policy"; then
    trap 'rm -f "$policy"' EXIT
    cat > "$policy" <<END
#!/bin/sh
# Written by nightferry while it installs packages; may be removed.
[ "\$(cut -d' ' -f22 /proc/$$/stat 2>/dev/null)" = "$(cut -d' ' -f22 /proc/$$/stat)" ] && exit 101
exit 0
END
    chmod 755 "$policy"
fi
case " $* " in *" postgresql "*)
    # The sandbox makes its database itself; what a person wrote there stays.
    mkdir -p "$(dirname "$clusters")"
    grep -qs '^[[:space:]]*create_main_cluster' "$clusters" || echo 'create_main_cluster = false' >> "$clusters"
esac
# Unlike apt-get, dpkg does not wait for whoever installs at this moment.
tries=0
until said=$(LC_ALL=C dpkg --configure -a 2>&1); do
    tries=$((tries + 1))
    case $said in *" locked by another process"*) ;; *) tries=151 ;; esac
    [ $tries -le 150 ] || { echo "$said"; exit 2; }
    sleep 2
done
apt-get -q -o DPkg::Lock::Timeout=300 update || echo "some package lists could not be fetched; going on"
apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
if [ -d /run/systemd/system ]; then
    units=$(dpkg -L "$@" | sed -nE 's#.*/systemd/system/([^/@]+\.(service|socket))$#\1#p')
    [ -z "$units" ] || systemctl disable $units
fi
"""


_INSTALLING = threading.Lock()
"""Held by the step that installs: another would take its policy file away."""


def which(program: str) -> str | None:
    """Path of a program, also where only root's PATH has it."""
    return shutil.which(program, path=SEARCH)


def cni_folder() -> Path | None:
    """Where the CNI plugins are."""
    return next((folder for folder in CNI_FOLDERS if (folder / "bridge").exists()), None)


def postgresql() -> dict[str, Path]:
    """The folder of programs of each major version of PostgreSQL's server that is installed, the newest first."""
    found = {path.parents[1].name: path.parent for path in POSTGRESQL.glob("*/bin/postgres")}
    return {version: found[version] for version in sorted(found, key=float, reverse=True)}


def browser() -> tuple[str, ...]:
    """The packages of a browser and its driver; none where the distribution has no such packages."""
    release = platform.freedesktop_os_release()
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return () if "ubuntu" in family else BROWSER


def missing(names: Iterable[str]) -> list[str]:
    """Those packages whose program this machine does not have."""
    absent = []
    for name in dict.fromkeys(names):
        if not _present(name):
            absent.append(name)
    return absent


def _present(name: str) -> object:
    if name == "containernetworking-plugins":
        return cni_folder()
    if name in LOCAL_NAMES:
        return knows_local_names()
    if name == "debian-archive-keyring":
        return DEBIAN_KEYS.exists()
    return postgresql() if name == "postgresql" else which(PROGRAMS[name])


def knows_local_names() -> bool:
    """Whether programs find this machine by a name below `.localhost`."""
    try:
        socket.getaddrinfo("nightferry.localhost", 80, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return True


def as_root(command: Sequence[str | Path]) -> list[str]:
    """The command, by way of sudo where this process is not root."""
    words = [str(word) for word in command]
    return words if os.geteuid() == 0 else ["sudo", "-n", "--", *words]


def ensure(progress: Progress, logs: Path, names: Iterable[str]) -> None:
    """Install those packages whose program is missing; asks for sudo's password where it needs one.

    Raises:
        StepFailed: they are missing and cannot be installed here.
    """
    with _INSTALLING:
        _install(progress, logs, missing(names))


def _install(progress: Progress, logs: Path, absent: Sequence[str]) -> None:
    if not absent:
        return
    by_hand = f"install {' '.join(absent)} yourself and try again"
    if not which("apt-get"):
        raise StepFailed(Reason.SANDBOX_FAILED, f"This machine has no apt-get: {by_hand}.")
    if os.geteuid() != 0:
        progress.say(f"Installing {' '.join(absent)} needs root:")
        if not which("sudo") or subprocess.run(["sudo", "-v"], check=False).returncode != 0:
            raise StepFailed(Reason.SANDBOX_FAILED, f"The packages need root and sudo refused: {by_hand}.")
    log = logs / "install-packages.log"
    with progress.step(f"install {' '.join(absent)}", log=log, expected=30):
        run_logged(as_root(["sh", "-c", INSTALL, "sh", POLICY, CLUSTERS, *absent]), log)
