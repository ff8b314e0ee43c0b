"""Which repositories some service file names: only these wake anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from nightferry import settings
from nightferry.entities.watching.find import MODEL
from nightferry.steps.services.load_services import load_services
from nightferry.steps.watching.repositories import Repository, repositories
from nightferry.web.hooks.senders import MLFLOW, Said

KEPT_SECONDS = 20.0
"""A service file that is new counts after that, as in Airflow itself."""


class Known:
    """The watched repositories, read from the service files now and then."""

    def __init__(self) -> None:
        self._kept: tuple[float, list[Repository]] = (-KEPT_SECONDS, [])
        self._lock = threading.Lock()

    def among(self, sender: str, said: Said) -> tuple[str, ...]:
        """The identities of the watched repositories that a delivery is about.

        Raises:
            Permanent: (setting_invalid)
        """
        wanted = set(said.addresses)
        return tuple(one.identity for one in self._all() if _is_meant(one, sender, wanted))

    def _all(self) -> Sequence[Repository]:
        with self._lock:
            since, found = self._kept
            if time.monotonic() - since >= KEPT_SECONDS:
                now = settings.load()
                loaded = load_services(now.services_folders, now.expandable)
                found = repositories(spec for spec, _ in loaded.specs.values())
                self._kept = time.monotonic(), found
            return found


def _is_meant(repository: Repository, sender: str, wanted: set[str]) -> bool:
    if sender != MLFLOW:
        return repository.event != MODEL and repository.identity in wanted
    name = repository.identity.removeprefix("mlflow://").partition("@")[0]
    return repository.identity.startswith("mlflow://") and name in wanted
