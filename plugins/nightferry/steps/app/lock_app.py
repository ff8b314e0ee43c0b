"""Lock an app: find what its requirements were resolved to, or resolve them, once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from nightferry.clients.doors.image_builder import LOCK_TARGET, BuildRequest, ImageBuilder
from nightferry.clients.doors.lock_store import LockStore
from nightferry.clients.scratch import scratch
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.lock import LOCK, Lock, PinnedLock
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.app.read_contract import REQUIREMENTS
from nightferry.steps.app.recipe import APP_RECIPE
from nightferry.steps.app.requirements_files import copy_requirements, lock_key

FIRST = 1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """What is to be resolved."""

    app: Path
    """The app's folder."""
    contract: AppContract
    base_image: str
    """By digest."""
    extra: tuple[str, ...]
    """Requirements beside those of the app."""
    root: Path
    """The project, with docker/app."""
    logs: Path
    """The folder for the builder's output."""

    @property
    def key(self) -> str:
        """What its locks are kept under."""
        return lock_key(self.app, self.contract, self.base_image, self.extra)

    @property
    def log(self) -> Path:
        """Where the builder's output goes."""
        return self.logs / f"lock-{self.key[:12]}.log"


def find_lock(key: str, store: LockStore) -> PinnedLock | None:
    """The newest lock of these requirements; None where they were never resolved.

    Raises:
        Permanent: (lock_missing: it cannot be read; model_repository_missing, storage_denied)
        Temporary: (storage_unavailable)
    """
    newest = store.newest(key)
    return None if newest is None else _pinned(key, *newest)


def lock_app(asked: Asked, builder: ImageBuilder, store: LockStore) -> PinnedLock:
    """The newest lock of these requirements; the first one is made here. Where another was faster, that is taken.

    Raises:
        Permanent: (app_requirements_wrong, image_build_failed, image_unknown: the base, disk_full; as `find_lock`)
        Temporary: (builder_unavailable, registry_unavailable, image_build_failed, storage_unavailable)
    """
    found = find_lock(asked.key, store)
    if found is not None:
        return found
    with _resolved(asked, builder) as folder:
        return _kept(asked.key, FIRST, folder, store)


def renew_lock(asked: Asked, builder: ImageBuilder, store: LockStore) -> PinnedLock:
    """Resolve anew, and keep the result as the next lock. Where nothing moved, the newest one stays and is returned.

    Raises as `lock_app`.
    """
    with _resolved(asked, builder) as folder:
        newest = store.newest(asked.key)  # which may be broken: then this is how it is mended
        if newest is not None and newest[1] == (folder / LOCK).read_bytes():
            store.create(asked.key, newest[0], folder)  # a wheel that it lacks is kept again
            return _pinned(asked.key, *newest)
        return _kept(asked.key, newest[0] + 1 if newest else FIRST, folder, store)


def resolve_lock(asked: Asked, builder: ImageBuilder, out: Path) -> Lock:
    """Resolve an app's requirements into `out`: lock.json and wheels/. Nothing is kept elsewhere.

    Raises as `lock_app`.
    """
    contract = asked.contract
    with scratch("nightferry-requirements-") as staged:
        copy_requirements(asked.app, contract, staged)
        arguments = {
            "BASE_IMAGE": asked.base_image,
            "REQUIREMENTS": contract.requirements,
            "EXTRA": " ".join(asked.extra),
            "SYSTEM": " ".join(contract.system),
        }
        if contract.requirements == REQUIREMENTS:  # as it is where the contract names none
            arguments["REQUIREMENTS_OPTIONAL"] = "yes"
        # What the builder remembers is what an index said some day.
        request = BuildRequest(
            asked.root / APP_RECIPE[0], LOCK_TARGET, {"app": staged}, arguments, out=out, no_cache=True
        )
        log.info("Resolving the app's requirements; all output goes to %s", asked.log)
        builder.build(request, asked.log)
    return _parsed((out / LOCK).read_bytes(), "The lock that was just made")


@contextmanager
def _resolved(asked: Asked, builder: ImageBuilder) -> Iterator[Path]:
    with scratch("nightferry-lock-") as folder:
        resolve_lock(asked, builder, folder)
        yield folder


def _kept(key: str, number: int, folder: Path, store: LockStore) -> PinnedLock:
    content: bytes | None = (folder / LOCK).read_bytes()
    if not store.create(key, number, folder):
        content = store.read(key, number)
    if content is None:
        raise Permanent(
            Reason.LOCK_MISSING, f"Lock {number} of {key[:12]} was there a moment ago, and is not now: who removes it?"
        )
    return _pinned(key, number, content)


def _pinned(key: str, number: int, content: bytes) -> PinnedLock:
    lock = _parsed(content, f"Lock {number} of the requirements {key[:12]}")
    return PinnedLock(key=key, number=number, sha256=_sha256(content), packages=lock.versions)


def _parsed(content: bytes, what: str) -> Lock:
    try:
        return Lock.model_validate_json(content)
    except ValidationError as error:
        raise Permanent(
            Reason.LOCK_MISSING, f"{what} cannot be read: `nightferry app lock SERVICE --upgrade` makes another."
        ) from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
