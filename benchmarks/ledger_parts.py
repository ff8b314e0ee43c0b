"""What a chain of releases is made from in benchmarks/ledger.py: a model repository, a source, and a clock of days."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Sequence

from nightferry.clients.doors.model_repository import ModelListing
from nightferry.entities.candidate import PinnedSource
from nightferry.entities.model_version import ModelManifest, PinnedModel, parse_manifest

SERVICE = "bench"


class Models:
    """A model repository whose newest version is always a new one."""

    def __init__(self) -> None:
        self._number = 0

    def listings(self) -> Sequence[ModelListing]:
        """The next one."""
        return [ModelListing(f"v{self._number + 1}", "2000-01-01T00:00:00Z", "bench", 1, {}, "2" * 64)]

    def pin(self, version: str) -> tuple[PinnedModel, ModelManifest]:
        """The newest."""
        self._number += 1
        name = f"v{self._number}"
        created = dt.datetime.now(dt.UTC)
        model = PinnedModel(version=name, sha256="2" * 64, created=created, size=1, etags={"model.onnx": '"0x1"'})
        tensor = {"name": "x", "datatype": "FP32", "shape": [-1, 64]}
        manifest = {
            "format": "onnx",
            "service": SERVICE,
            "version": name,
            "created": created.isoformat(),
            "author": "bench",
            "files": [{"name": "model.onnx", "size": 1, "sha256": "3" * 64}],
            "model": "model.onnx",
            "inputs": [tensor],
            "outputs": [tensor],
        }
        return model, parse_manifest(json.dumps(manifest).encode())


class Source:
    """A source repository that never changes."""

    def pin(self, ref: str, path: str, tests: str | None) -> PinnedSource:
        """The only commit."""
        return PinnedSource(repository=".", ref=ref, commit="4" * 40, tree="5" * 40, path=path, tests=tests)


class Days:
    """A clock on which every release has a day of its own."""

    def __init__(self) -> None:
        self.time = dt.datetime(2000, 1, 1, 2, tzinfo=dt.UTC)

    def now(self) -> dt.datetime:
        """The time of that day."""
        return self.time

    def monotonic(self) -> float:
        """Real seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def another(self) -> None:
        """The next day."""
        self.time += dt.timedelta(days=1)
