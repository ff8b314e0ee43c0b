"""Push small made-up images to a registry that asks for no credentials, as bare HTTP requests."""

from __future__ import annotations

import json
import os

import requests
from nightferry.entities.image_ref import ImageRef

from tests.fakes.http_registry import digest_of

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def push_image(
    repository: str, tag: str, labels: dict[str, str] | None = None, media_type: str = MANIFEST, size: int = 1000
) -> ImageRef:
    """Push an image of one layer of random bytes; what it is called by."""
    host, _, path = repository.partition("/")
    layer = os.urandom(size)
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": labels}}).encode()
    docker = media_type == DOCKER_MANIFEST
    kinds = (
        ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
        if docker
        else ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")
    )
    for blob in (layer, config):
        opened = requests.post(f"http://{host}/v2/{path}/blobs/uploads/", timeout=10)
        address = requests.compat.urljoin(opened.url, opened.headers["Location"])
        requests.put(address, params={"digest": digest_of(blob)}, data=blob, timeout=10).raise_for_status()
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": kinds[0], "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": kinds[1], "digest": digest_of(layer), "size": len(layer)}],
    }
    return push_manifest(repository, tag, json.dumps(manifest).encode(), media_type)


def push_index(repository: str, tag: str, labels: dict[str, str]) -> ImageRef:
    """Push an index of one image and its attestation, as builders do."""
    image, attestation = push_image(repository, "part-1", labels), push_image(repository, "part-2")
    manifests = [
        {"mediaType": MANIFEST, "digest": part.digest, "size": 1, "platform": {"os": system, "architecture": system}}
        for part, system in ((attestation, "unknown"), (image, "linux"))
    ]
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
    return push_manifest(repository, tag, content, INDEX)


def push_manifest(repository: str, tag: str, content: bytes, media_type: str) -> ImageRef:
    """Push a manifest under a tag."""
    host, _, path = repository.partition("/")
    done = requests.put(
        f"http://{host}/v2/{path}/manifests/{tag}", data=content, headers={"Content-Type": media_type}, timeout=10
    )
    done.raise_for_status()
    return ImageRef(repository, digest_of(content))
