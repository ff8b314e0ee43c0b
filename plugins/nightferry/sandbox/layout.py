"""Where the sandbox keeps its files, and whose they are."""

from __future__ import annotations

import hashlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

RUNTIME = Path("/run/nightferry")
"""What does not outlive a reboot: sockets, mounts of running containers, the lock. One sandbox runs per machine."""

DATA = Path("/var/lib/nightferry-sandbox")
"""What programs of other system users keep: the state folder is closed to them."""

MARKER = "NIGHTFERRY_SANDBOX"
"""Environment variable that every process of a sandbox carries, with the state folder as its value."""

BRIDGE = "nf0"
ADDRESS = "10.244.0.1"
"""The machine's own address on the bridge: what pods and the machine alike can reach, and no other machine."""
POD_NETWORK = "10.244.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
CLUSTER_ADDRESS = "10.96.0.1"
"""The API server's address inside the cluster: the first of the service network."""
NODE = "nightferry"
DOMAIN = "nightferry.test"
"""Every name in it is the gateway's, for pods and for whoever asks the sandbox's name server."""


@dataclass(frozen=True)
class Owner:
    """The person whose sandbox it is: who called sudo, else whoever runs this."""

    uid: int
    gid: int
    name: str
    home: Path

    @classmethod
    def current(cls) -> Owner:
        """The caller of sudo where there is one."""
        entry = pwd.getpwuid(int(os.environ.get("SUDO_UID") or os.getuid()))
        return cls(uid=entry.pw_uid, gid=entry.pw_gid, name=entry.pw_name, home=Path(entry.pw_dir))

    def take(self, path: Path) -> None:
        """Make `path` this person's. Does nothing where it already is, or where it is not ours to give away."""
        if os.geteuid() == 0 and path.stat().st_uid != self.uid:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True)
class Layout:
    """Every place the sandbox writes to."""

    root: Path
    """The project."""
    home: Path
    """The state folder."""
    owner: Owner
    runtime: Path = RUNTIME
    data: Path = DATA

    @property
    def settings_file(self) -> Path:
        """What `up` chose: settings and ports. No secrets."""
        return self.home / "sandbox.json"

    @property
    def secrets(self) -> Path:
        """Secrets that the owner's commands and Airflow read, one per file."""
        return self.home / "secrets"

    @property
    def kubernetes(self) -> Path:
        """Certificates, kubeconfigs, component configurations, etcd's data."""
        return self.home / "kubernetes"

    @property
    def socket(self) -> Path:
        """The supervisor's socket."""
        return self.runtime / "supervisor.sock"

    @property
    def containerd_socket(self) -> Path:
        """The sandbox's own containerd, the cluster's runtime."""
        return self.runtime / "containerd.sock"

    @property
    def docker_socket(self) -> Path:
        """The sandbox's own Docker engine; unused where the machine has one."""
        return self.runtime / "docker.sock"

    @property
    def buildkit_socket(self) -> Path:
        """The sandbox's own BuildKit."""
        return self.runtime / "buildkitd.sock"

    @property
    def envoy_socket(self) -> Path:
        """Envoy's administration; its folder is its owner's."""
        return self.runtime / "envoy" / "admin.sock"

    @property
    def database(self) -> Path:
        """Airflow's database. It is this state folder's alone: another one has another name here."""
        return self.data / hashlib.sha256(bytes(self.home)).hexdigest()[:12]

    @property
    def database_socket(self) -> Path:
        """The folder with the database's socket; nobody else may enter it."""
        return self.runtime / "postgresql"

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig of one user of the cluster."""
        return self.kubernetes / f"{user}.kubeconfig"

    def log(self, part: str) -> Path:
        """One part's log."""
        return self.home / "logs" / f"{part}.log"

    def folder(self, name: str, *, owned: bool = False) -> Path:
        """A folder of the state folder, made where missing, mode 0700; the owner's where their processes write."""
        path = self.home / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if owned:
            self.owner.take(path)
        return path

    def prepare(self) -> None:
        """Make the folders that everything else takes for granted."""
        for path in (self.home, self.secrets, self.home / "logs", self.home / "work"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            self.owner.take(path)
        self.runtime.mkdir(mode=0o755, exist_ok=True)

    def write(self, path: Path, text: str, *, mode: int = 0o600, owned: bool = False) -> bool:
        """Write a file so that no reader and no kill ever sees half of it. Says whether its text changed."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        if changed:
            partial = path.with_name(f".{path.name}.partial")
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
        path.chmod(mode)
        if owned:
            self.owner.take(path)
        return changed
