"""Fetch the pinned model version into the work folder: complete and verified, or not there at all."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry.clients.doors.model_repository import ModelRepository, OnBytes
from nightferry.clients.full_disk import full_disk
from nightferry.entities.model_version import MANIFEST, ModelManifest, PinnedModel, manifest_sha256
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.model_folder import check_files, checksum_wrong, read_manifest

log = logging.getLogger(__name__)
KEPT = 5
"""Fetched versions of a service that stay on disk."""


def fetch_model(pinned: PinnedModel, models: ModelRepository, work: Path, on_bytes: OnBytes | None = None) -> Path:
    """The folder `work/models/<service>/<version>-<12 of its sha256>` with the version's files.

    1. One process at a time works on a version; another waits, and then finds it done.
    2. A folder that is there is checked again, file by file, and used when every file is as listed.
    3. Otherwise everything is streamed into a folder beside it, hashed on the way, and renamed when all is right.

    Args:
        pinned: the version, as `decide` pinned it.
        models: the service's model repository.
        work: the work folder.
        on_bytes: told of every piece that arrived.

    Raises:
        Permanent: (model_overwritten, model_checksum_wrong, model_manifest_invalid, disk_full, storage_denied)
        Temporary: (storage_unavailable)
    """
    name = f"{pinned.version}-{pinned.sha256[:12]}"
    root = work / "models"
    with full_disk(root):
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root / f".{name}.lock"):
            for folder in root.glob(f"*/{name}"):
                if _is_right(folder, pinned):
                    os.utime(folder)
                    return folder
            return _fetch(pinned, models, root, name, on_bytes)


def _fetch(pinned: PinnedModel, models: ModelRepository, root: Path, name: str, on_bytes: OnBytes | None) -> Path:
    coming = root / f".{name}.part"
    _remove(coming)
    _check_space(root, pinned)
    try:
        coming.mkdir()
        models.download(pinned, MANIFEST, coming / MANIFEST, on_bytes)
        manifest = _manifest(coming, pinned)
        for file in manifest.files:
            target = coming / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            found = models.download(pinned, file.name, target, on_bytes)
            if found != file.sha256:
                raise checksum_wrong(manifest, file.name, found, file.sha256)
        folder = root / manifest.service / name
        folder.parent.mkdir(exist_ok=True)
        _remove(folder)
        coming.rename(folder)
    except BaseException:
        _remove(coming)
        raise
    _forget_old(folder.parent)
    return folder


def _manifest(folder: Path, pinned: PinnedModel) -> ModelManifest:
    manifest, content = read_manifest(folder)
    if manifest_sha256(content) != pinned.sha256:
        raise Permanent(
            Reason.MODEL_OVERWRITTEN,
            f"{MANIFEST} of model {pinned.version} is not the one that was decided on; start the release again.",
        )
    return manifest


def _is_right(folder: Path, pinned: PinnedModel) -> bool:
    try:
        check_files(folder, _manifest(folder, pinned))
    except Permanent as fault:
        log.warning("fetching %s again: %s", pinned.version, fault.sentence)
        return False
    return True


def _check_space(root: Path, pinned: PinnedModel) -> None:
    free = shutil.disk_usage(root).free
    if free < pinned.size:
        raise Permanent(
            Reason.DISK_FULL,
            f"Model {pinned.version} needs {pinned.size / 1e6:,.0f} MB, but {root} has {free / 1e6:,.0f} MB left; "
            "make room there.",
        )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock; the kernel lets go of it when the process dies."""
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _forget_old(folder: Path) -> None:
    """Remove all but the versions used last, and none that was used within a day: a release may be reading it."""
    versions = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for version in versions[KEPT:]:
        if versions[0].stat().st_mtime - version.stat().st_mtime > 24 * 3600:
            _remove(version)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
