"""The stock service as this installation has it, in place of a repository: its content's digest is its version."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from nightferry.clients.full_disk import full_disk
from nightferry.entities.candidate import PinnedSource
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import STOCK, STOCK_TESTS
from nightferry.errors import Permanent


class StockSource:
    """A SourceRepository of one version: the files of `serving_app` in the project at `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def pin(self, ref: str, path: str, tests: str | None) -> PinnedSource:
        """What is installed now; its tests count where they are installed too.

        Raises:
            Permanent: (source_ref_unknown) another version is asked for; (setting_missing) nothing is installed there.
        """
        digest = self._digest()
        if ref not in ("", digest):
            raise Permanent(
                Reason.SOURCE_REF_UNKNOWN,
                f"There is no {ref} of the stock service here, only {digest[:8]}: it comes with the installation.",
            )
        there = STOCK_TESTS if (self._root / STOCK_TESTS).is_dir() else None
        return PinnedSource(repository=STOCK, ref="", commit=digest, tree=digest, path=STOCK, tests=there)

    def export(self, commit: str, path: str, target: Path) -> None:
        """Copy the stock service, or its tests, into `target` (made anew).

        Raises:
            Permanent: (decision_outdated) the installation was upgraded since it was decided on; (disk_full)
        """
        if self._digest() != commit:
            raise Permanent(
                Reason.DECISION_OUTDATED,
                "Nightferry was upgraded since this was decided, and its stock service with it; start the release "
                "again.",
            )
        shutil.rmtree(target, ignore_errors=True)
        with full_disk(target.parent):
            for file in _files(self._root / path):
                copy = target / file.relative_to(self._root / path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
                copy.chmod(0o644)

    def _digest(self) -> str:
        folder = self._root / STOCK
        digest = hashlib.sha256()
        files = _files(folder)
        if not files:
            raise Permanent(
                Reason.SETTING_MISSING,
                f"{folder} is not there: NIGHTFERRY_ROOT has to name the project's folder, with the stock service.",
            )
        for file in files:
            content = file.read_bytes()
            digest.update(f"{file.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
        return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix != ".pyc" and "__pycache__" not in file.parts
    ]
