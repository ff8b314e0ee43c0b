"""Where the sandbox builds its own images and where it keeps them.

The process of buildkitd needs these flags, run as root, with `runc` on its PATH:

    buildkitd --addr unix:///… --root … --oci-worker=true --containerd-worker=false --oci-worker-net=host

`--oci-worker-net=host` gives the `RUN` steps the machine's network, without CNI plugins and without an entitlement. A
registry on loopback is spoken to over plain HTTP without further configuration. What TLS certificates buildkitd trusts
itself, for pulling public images, is the system's bundle or its own SSL_CERT_FILE.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nightferry.clients.buildkit.builder import BuildKit
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.clients.registry.oci import OciRegistry

TARGET = "image"
"""How every Dockerfile of the sandbox calls its last stage."""


@dataclass(frozen=True)
class Buildkit:
    """A builder and the registry it pushes to."""

    buildctl: Path
    address: str
    """buildkitd's, `unix:///…`."""
    registry: str
    """`host[:port][/prefix]`."""
    auth_file: Path | None = None
    """A Docker config.json with credentials for the registry."""

    def find(self, repository: str, tag: str) -> str | None:
        """`registry/repository@sha256:…` of a tag; None where there is none. Raises as ImageRegistry."""
        found = OciRegistry(self.auth_file).find(f"{self.registry}/{repository}", tag)
        return str(found) if found else None

    def build(
        self,
        context: Path,
        repository: str,
        tag: str,
        log: Path,
        arguments: Mapping[str, str] | None = None,
        timeout: float = 600,
    ) -> str:
        """Build the folder, whose Dockerfile is in it, and push; the image by digest. Raises as ImageBuilder."""
        request = BuildRequest(
            dockerfile=context / "Dockerfile",
            target=TARGET,
            contexts={},
            arguments=arguments or {},
            push=(f"{self.registry}/{repository}:{tag}",),
        )
        client = BuildKit(str(self.buildctl), self.address, auth_file=self.auth_file, timeout=timeout)
        return str(client.build(request, log))


@contextmanager
def staged(files: Mapping[str, Path]) -> Iterator[Path]:
    """A temporary folder with copies of these files, by their path in it."""
    with tempfile.TemporaryDirectory(prefix="nightferry-context-") as folder:
        for name, source in files.items():
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        yield Path(folder)
