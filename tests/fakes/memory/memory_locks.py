"""A store of locks in memory."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent


class MemoryLocks:
    """Keeps blobs by name; `blobs` may be edited. Set `fault` to make every call fail with it."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.fault: NightferryError | None = None

    def newest(self, key: str) -> tuple[int, bytes] | None:
        self._check()
        names = [name.split("/") for name in self.blobs]
        numbers = [int(parts[1]) for parts in names if parts[0] == key and parts[2] == "lock.json"]
        return (max(numbers), self.blobs[f"{key}/{max(numbers):06d}/lock.json"]) if numbers else None

    def read(self, key: str, number: int) -> bytes | None:
        self._check()
        return self.blobs.get(f"{key}/{number:06d}/lock.json")

    def create(self, key: str, number: int, folder: Path) -> bool:
        self._check()
        for wheel in sorted((folder / "wheels").glob("*.whl")):
            sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
            self.blobs.setdefault(f"{key}/{number:06d}/wheels/{sha256}/{wheel.name}", wheel.read_bytes())
        content = (folder / "lock.json").read_bytes()
        return self.blobs.setdefault(f"{key}/{number:06d}/lock.json", content) == content

    def fetch(self, key: str, number: int, folder: Path) -> None:
        content = self.read(key, number)
        if content is None:
            raise Permanent(Reason.LOCK_MISSING, f"There is no lock {number}.")
        (folder / "wheels").mkdir(exist_ok=True)
        for package in json.loads(content)["packages"]:
            if package["kind"] != "kept":
                continue
            wheel = self.blobs.get(f"{key}/{number:06d}/wheels/{package['sha256']}/{package['file']}", b"")
            if hashlib.sha256(wheel).hexdigest() != package["sha256"]:
                raise Permanent(Reason.LOCK_MISSING, f"Lock {number} does not have {package['file']} as it was.")
            (folder / "wheels" / package["file"]).write_bytes(wheel)
        (folder / "lock.json").write_bytes(content)

    def _check(self) -> None:
        if self.fault:
            raise self.fault
