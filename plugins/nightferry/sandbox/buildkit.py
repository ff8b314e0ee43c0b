"""Builds the sandbox's own images with BuildKit and pushes them to the registry; one that is there is not built again.

The process of buildkitd needs these flags, run as root, with `runc` on its PATH:

    buildkitd --addr unix:///… --root … --oci-worker=true --containerd-worker=false --oci-worker-net=host

`--oci-worker-net=host` gives the `RUN` steps the machine's network, without CNI plugins and without an entitlement. A
registry on loopback is spoken to over plain HTTP without further configuration. What TLS certificates buildkitd trusts
itself, for pulling public images, is the system's bundle or its own SSL_CERT_FILE.
"""

from __future__ import annotations

import json
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nightferry.clients.build_secrets import build_secrets
from nightferry.sandbox.progress import run_logged

EPOCH = "315532800"
"""The time stamp of every file of an image, so that equal content gives an equal digest: 1980-01-01."""
ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Buildkit:
    """Where to build and where to push."""

    buildctl: Path
    address: str
    """buildkitd's, `unix:///…`."""
    registry: str
    """`host[:port][/prefix]`."""
    auth_file: Path | None = None
    """A Docker config.json with credentials for the registry."""

    def find(self, repository: str, tag: str) -> str | None:
        """`registry/repository@sha256:…` of a tag; None where there is none. Only a registry on loopback is asked."""
        host, _, prefix = self.registry.partition("/")
        if not host.startswith(("127.", "localhost")):
            return None
        path = "/".join(part for part in (prefix, repository) if part)
        address = f"http://{host}/v2/{path}/manifests/{tag}"
        request = urllib.request.Request(address, method="HEAD", headers={"Accept": ACCEPT})
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=10) as answer:
                digest = answer.headers.get("Docker-Content-Digest")
        except (urllib.error.URLError, OSError):
            return None
        return f"{self.registry}/{repository}@{digest}" if digest else None

    def build(self, recipe: Recipe, repository: str, tag: str, log: Path, timeout: float = 600) -> str:
        """Build and push; the image by digest.

        Raises:
            StepFailed: the build failed.
        """
        words = [str(self.buildctl), "--addr", self.address, "build", "--progress=plain"]
        words += ["--frontend", "dockerfile.v0", "--local", f"dockerfile={recipe.dockerfile}"]
        words += ["--local", f"context={recipe.context}"]
        for name, source in recipe.contexts.items():
            words += ["--local", f"{name}={source}", "--opt", f"context:{name}=local:{name}"]
        for name, value in {**recipe.arguments, "SOURCE_DATE_EPOCH": EPOCH}.items():
            words += ["--opt", f"build-arg:{name}={value}"]
        image = f"{self.registry}/{repository}:{tag}"
        words += ["--output", f"type=image,name={image},push=true,rewrite-timestamp=true,oci-mediatypes=true"]
        env = dict(os.environ)
        with tempfile.TemporaryDirectory(prefix="nightferry-build-") as folder, build_secrets() as secrets:
            if self.auth_file is not None:
                Path(folder, "config.json").symlink_to(self.auth_file.absolute())
                env["DOCKER_CONFIG"] = folder
            metadata = Path(folder, "metadata.json")
            run_logged([*words, *secrets, "--metadata-file", metadata], log, env, timeout=timeout)
            digest = json.loads(metadata.read_text(encoding="utf-8"))["containerimage.digest"]
        return f"{self.registry}/{repository}@{digest}"


@dataclass(frozen=True)
class Recipe:
    """What to build."""

    dockerfile: Path
    """The folder that holds the Dockerfile."""
    context: Path
    contexts: Mapping[str, Path] = field(default_factory=dict)
    """More folders, by the name that the Dockerfile calls them."""
    arguments: Mapping[str, str] = field(default_factory=dict)
