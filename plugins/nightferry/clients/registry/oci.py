"""The OCI distribution API: finding an image by tag, copying it within its registry with its digest unchanged, and what
there is of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightferry.clients.registry import inventory
from nightferry.clients.registry.auth import Credentials
from nightferry.clients.registry.session import RegistrySession, split
from nightferry.entities.image_ref import DIGEST, ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.stored_image import StoredImage
from nightferry.errors import Permanent, Temporary

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
ACCEPT = ", ".join(MANIFESTS + INDEXES)


@dataclass(frozen=True)
class _Manifest:
    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.content).hexdigest()

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.content)
        return document


class OciRegistry:
    """Any registry that speaks the distribution API; ACR does."""

    def __init__(self, auth_file: Path | None = None, credentials: Credentials | None = None) -> None:
        """Store what to authenticate with; nothing is opened.

        Args:
            auth_file: a Docker config.json.
            credentials: used instead of the file's when given.
        """
        self._auth_file = auth_file
        self._credentials = credentials
        self._sessions: dict[str, RegistrySession] = {}

    def find(self, repository: str, tag: str) -> ImageRef | None:
        """The image that a tag names now; None when there is none. Raises as the protocol says."""
        session, path = self._at(repository)
        answer = session.request("HEAD", f"{path}/manifests/{tag}", pull=path, headers={"Accept": ACCEPT})
        if answer.status_code == 404:
            return None
        session.expect(answer, 200)
        digest = answer.headers.get("Docker-Content-Digest", "")
        if not DIGEST.match(digest):
            # Registries should send it, and need not.
            manifest = self._manifest(session, path, tag)
            return None if manifest is None else ImageRef(repository, manifest.digest)
        return ImageRef(repository, digest)

    def copy(self, image: ImageRef, repository: str, tags: tuple[str, ...]) -> ImageRef:
        """The same image under these tags in another repository: blobs first, then children, then the tags."""
        session, source = self._at(image.repository)
        other, target = self._at(repository)
        if other is not session:
            raise Permanent(
                Reason.IMAGE_UNKNOWN,
                f"{image} and {repository} are in different registries; images are copied within one.",
            )
        copied = ImageRef(repository, image.digest)
        missing = [tag for tag in tags if self.find(repository, tag) != copied]
        if not missing:
            return copied
        manifest = self._require(session, source, image)
        if manifest.media_type in INDEXES:
            for child in manifest.document.get("manifests", []):
                part = self._require(session, source, ImageRef(image.repository, str(child["digest"])))
                self._copy_blobs(session, source, target, part)
                self._put(session, target, part, part.digest)
        else:
            self._copy_blobs(session, source, target, manifest)
        for tag in missing:
            self._put(session, target, manifest, tag)
        return copied

    def config(self, image: ImageRef) -> dict[str, Any]:
        """How a container of the image is run; of an index, that of its first platform."""
        session, path = self._at(image.repository)
        manifest = self._require(session, path, image)
        if manifest.media_type in INDEXES:
            # An attestation is listed as an image for no platform.
            children = [
                child
                for child in manifest.document.get("manifests", [])
                if child.get("platform", {}).get("os") != "unknown"
            ]
            if not children:
                return {}
            manifest = self._require(session, path, ImageRef(image.repository, str(children[0]["digest"])))
        config = manifest.document["config"]["digest"]
        answer = session.request("GET", f"{path}/blobs/{config}", pull=path)
        session.expect(answer, 200)
        found: dict[str, Any] = json.loads(answer.content).get("config") or {}
        return found

    def tags(self, repository: str) -> tuple[str, ...]:
        """All tags of a repository, over as many pages as the registry gives. Raises as the protocol says."""
        return inventory.tags(*self._at(repository))

    def stored(self, image: ImageRef) -> StoredImage | None:
        """What the registry keeps of an image. Raises as the protocol says."""
        session, path = self._at(image.repository)
        manifest = self._manifest(session, path, image.digest)
        if manifest is None:
            return None
        blobs, parts = {manifest.digest: len(manifest.content)}, []
        for found in (manifest, *self._children(session, path, manifest)):
            blobs[found.digest] = len(found.content)
            blobs |= {digest: size for digest, size in _kept_blobs(found)}
            parts += [] if found is manifest else [found.digest]
        return StoredImage(image, blobs, tuple(parts))

    def missing(self, image: ImageRef) -> tuple[str, ...]:
        """What of an image is not there any more. Raises as the protocol says."""
        session, path = self._at(image.repository)
        manifest = self._manifest(session, path, image.digest)
        if manifest is None:
            return (image.digest,)
        children = self._children(session, path, manifest)
        named = [str(one["digest"]) for one in manifest.document.get("manifests", [])]
        gone = [digest for digest in named if digest not in [child.digest for child in children]]
        blobs = dict(blob for found in (manifest, *children) for blob in _kept_blobs(found))
        return (*gone, *(digest for digest in blobs if not inventory.has_blob(session, path, digest)))

    def delete(self, image: ImageRef) -> bool:
        """Remove a manifest by its digest. Raises as the protocol says."""
        session, path = self._at(image.repository)
        return inventory.delete(session, path, image)

    def _children(self, session: RegistrySession, path: str, manifest: _Manifest) -> list[_Manifest]:
        """The images that an index names, as far as they are there."""
        if manifest.media_type not in INDEXES:
            return []
        named = [str(one["digest"]) for one in manifest.document.get("manifests", [])]
        return [child for digest in named if (child := self._manifest(session, path, digest)) is not None]

    def _at(self, repository: str) -> tuple[RegistrySession, str]:
        host, path = split(repository)
        if host not in self._sessions:
            self._sessions[host] = RegistrySession(host, self._auth_file, self._credentials)
        return self._sessions[host], path

    def _manifest(self, session: RegistrySession, path: str, reference: str) -> _Manifest | None:
        answer = session.request("GET", f"{path}/manifests/{reference}", pull=path, headers={"Accept": ACCEPT})
        if answer.status_code == 404:
            return None
        session.expect(answer, 200)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        manifest = _Manifest(answer.content, media_type)
        if media_type not in MANIFESTS + INDEXES or (reference.startswith("sha256:") and manifest.digest != reference):
            raise Temporary(
                Reason.REGISTRY_UNAVAILABLE,
                f"What {session.host} answers for {path} {reference} is not that manifest ({media_type or 'no type'}): "
                "is it a container registry?",
            )
        return manifest

    def _require(self, session: RegistrySession, path: str, image: ImageRef) -> _Manifest:
        manifest = self._manifest(session, path, image.digest)
        if manifest is None:
            raise Permanent(
                Reason.IMAGE_UNKNOWN, f"The image {image} is not in the registry: was it removed? Release again."
            )
        return manifest

    def _copy_blobs(self, session: RegistrySession, source: str, target: str, manifest: _Manifest) -> None:
        document = manifest.document
        for blob in [document["config"], *document.get("layers", [])]:
            # A layer with addresses of its own ("foreign") is not kept in registries.
            if not blob.get("urls"):
                self._copy_blob(session, source, target, blob)

    def _copy_blob(self, session: RegistrySession, source: str, target: str, blob: Mapping[str, Any]) -> None:
        digest = str(blob["digest"])
        known = session.request("HEAD", f"{target}/blobs/{digest}", pull=target)
        if known.status_code == 200:
            return
        mounted = session.request(
            "POST", f"{target}/blobs/uploads/", pull=source, push=target, query={"mount": digest, "from": source}
        )
        if mounted.status_code == 201:
            return
        # The registry opened an upload instead, which is its way to refuse a mount.
        session.expect(mounted, 202)
        session.pass_through(source, digest, int(blob["size"]), mounted.headers.get("Location", ""), target)

    def _put(self, session: RegistrySession, path: str, manifest: _Manifest, reference: str) -> None:
        answer = session.request(
            "PUT",
            f"{path}/manifests/{reference}",
            push=path,
            headers={"Content-Type": manifest.media_type},
            body=manifest.content,
        )
        session.expect(answer, 201)


def _kept_blobs(manifest: _Manifest) -> list[tuple[str, int]]:
    """A manifest's configuration and layers with their sizes, but for those that are kept elsewhere ("foreign")."""
    document = manifest.document
    named = [*([document["config"]] if "config" in document else []), *document.get("layers", [])]
    return [(str(blob["digest"]), int(blob["size"])) for blob in named if not blob.get("urls")]
