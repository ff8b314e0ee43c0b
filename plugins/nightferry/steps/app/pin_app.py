"""Pin what an app says about itself: its contract, what its image stands on, and what its requirements resolve to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nightferry.clients.doors.image_builder import ImageBuilder
from nightferry.clients.doors.lock_store import LockStore
from nightferry.clients.doors.source_repository import SourceRepository
from nightferry.clients.scratch import scratch
from nightferry.entities.app.contract import CONTRACT, DEBIAN_12, DEBIAN_13, AppContract
from nightferry.entities.app.lock import PinnedLock
from nightferry.entities.candidate import PinnedSource
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.settings import Settings
from nightferry.steps.app.dockerfile import dockerfile
from nightferry.steps.app.flask_app import SERVER
from nightferry.steps.app.lock_app import Asked, find_lock, lock_app, renew_lock
from nightferry.steps.app.read_contract import read_contract
from nightferry.steps.app.recipe import APP_RECIPE, recipe_file

SETTING = {DEBIAN_12: "BASE_IMAGE", DEBIAN_13: "BASE_IMAGE_DEBIAN_13"}
"""Which setting names the image of a base."""


@dataclass(frozen=True)
class PinnedApp:
    """All that decides an app's image, beside its code and its model."""

    contract: AppContract
    base_image: str
    recipe: str
    lock: PinnedLock | None
    waiting: str = ""
    """A sentence about what could not be pinned without a builder."""


@dataclass(frozen=True)
class AppPinner:
    """Pins apps with what the installation has."""

    root: Path
    """The project, with docker/app."""
    work: Path
    bases: Mapping[str, str]
    """By the contract's word, the image by digest."""
    locks: LockStore
    builder: ImageBuilder | None = None
    """Resolves what was never resolved; None: it is left open, as a dry run does."""

    def pin(self, source: PinnedSource, repository: SourceRepository) -> PinnedApp:
        """Read the app's contract at its commit, and find or make its lock.

        Raises:
            Permanent: (app_contract_invalid, app_requirements_wrong, setting_missing: the base's image; source_…,
                image_build_failed, disk_full, storage_denied)
            Temporary: (builder_unavailable, storage_unavailable, source_repository_unavailable)
        """
        with self._exported(source, repository) as app:
            return self.pin_folder(app)

    def renew(self, source: PinnedSource, repository: SourceRepository) -> PinnedLock:
        """Resolve the app's requirements anew, and keep that as their newest lock. Raises as `pin`, and

        Permanent: (request_invalid) the app's own Dockerfile says what is installed.
        """
        if self.builder is None:
            raise ValueError("a lock is renewed with a builder")
        with self._exported(source, repository) as app:
            contract = read_contract(app)
            if contract.dockerfile is not None:
                raise Permanent(Reason.REQUEST_INVALID, f"The app's own {contract.dockerfile} says what is installed.")
            return renew_lock(self._asked(app, contract, base_image(contract, self.bases)), self.builder, self.locks)

    def pin_folder(self, app: Path) -> PinnedApp:
        """The same of an app's folder. Raises as `pin`."""
        contract = read_contract(app)
        base = base_image(contract, self.bases)
        text = dockerfile(contract, app, self.root)
        digest = hashlib.sha256(text.encode())
        if contract.dockerfile is not None:
            return PinnedApp(contract, base, digest.hexdigest(), None)
        for name in APP_RECIPE[1:]:
            digest.update(recipe_file(self.root, name))
        lock = self._lock(app, contract, base)
        waiting = "" if lock else "Its packages were never resolved; the release does that first."
        return PinnedApp(contract, base, digest.hexdigest(), lock, waiting)

    @contextmanager
    def _exported(self, source: PinnedSource, repository: SourceRepository) -> Iterator[Path]:
        with scratch("app-", self.work / "builds") as folder:
            repository.export(source.commit, source.path, folder / "app")
            yield folder / "app"

    def _lock(self, app: Path, contract: AppContract, base: str) -> PinnedLock | None:
        asked = self._asked(app, contract, base)
        if self.builder is None:
            return find_lock(asked.key, self.locks)
        return lock_app(asked, self.builder, self.locks)

    def _asked(self, app: Path, contract: AppContract, base: str) -> Asked:
        return Asked(app, contract, base, extra_packages(contract), self.root, self.work / "logs")


def base_image(contract: AppContract, bases: Mapping[str, str]) -> str:
    """The image that the app's stands on, by digest.

    Raises:
        Permanent: (setting_missing) the installation has no such base.
    """
    if contract.base not in SETTING:
        return contract.base
    found = bases.get(contract.base)
    if not found:
        raise Permanent(
            Reason.SETTING_MISSING,
            f"{CONTRACT} asks for the base {contract.base}, and this installation has none: set NIGHTFERRY_"
            f"{SETTING[contract.base]} to its image by digest, or take another base.",
        )
    return found


def extra_packages(contract: AppContract) -> tuple[str, ...]:
    """What is installed for an app beside what it asks for: the server, where it names no start."""
    return (SERVER,) if contract.start[:1] == (SERVER,) else ()


def bases_of(settings: Settings) -> dict[str, str]:
    """The base images of the installation, by the contract's word."""
    return {base: image for base, name in SETTING.items() if (image := settings.get(name))}
