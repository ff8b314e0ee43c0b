"""Services that are watched: their code and models in memory, a record, and runs that decide when they are told to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nightferry.clients.doors.watched_source import Trees
from nightferry.entities.decision import Decision
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.trigger import Cause
from nightferry.entities.watching.push import Push
from nightferry.steps.watching.doors import Doors
from nightferry.steps.watching.look_around import look_around
from nightferry.steps.watching.look_at import Looked
from nightferry.steps.watching.repositories import repositories

from tests.fakes.memory.memory_cursors import MemoryCursors
from tests.fakes.memory.memory_runs import MemoryRuns
from tests.fakes.memory.memory_source import MemorySource
from tests.fakes.service_specs import digits_spec
from tests.fakes.worlds.deciding_world import DecidingWorld

ADDRESS = "https://git.example/team/app.git"


class MemoryWatched:
    """A WatchedSource over a MemorySource; `asked` counts the looks, `fetched` the commits that were looked into."""

    def __init__(self, source: MemorySource) -> None:
        self.source = source
        self.asked = 0
        self.fetched: list[str] = []

    def heads(self, refs: Sequence[str]) -> dict[str, str]:
        self.source._check()
        self.asked += 1
        return {ref: self.source.refs[ref] for ref in refs if ref in self.source.refs}

    def trees(self, ref: str, commit: str, folders: Sequence[str]) -> Trees:
        self.fetched.append(commit)
        found = {}
        for folder in folders:
            if self.source._files(commit, folder):
                found[folder] = self.source._tree(commit, folder)
        return Trees(commit, "eva", found)


class WatchingWorld(DecidingWorld):
    """One service that releases each commit and each model, and more if they are added to `services`."""

    def __init__(self, folder: Path, **triggers: str) -> None:
        super().__init__(folder)
        self.spec = self.service("digits", **(triggers or {"commit": "release", "model": "release"}))
        self.services: list[ServiceSpec] = [self.spec]
        self.watched, self.cursors, self.runs = MemoryWatched(self.source), MemoryCursors(), MemoryRuns()

    @staticmethod
    def service(name: str, path: str = "serving_app", address: str = ADDRESS, **triggers: Any) -> ServiceSpec:
        return digits_spec(
            service=name,
            source={"repository": address, "ref": "main", "path": path, "tests": None},
            model={"repository": f"azure-blob://models/{name}"},
            triggers=triggers,
        )

    @property
    def doors(self) -> Doors:
        return Doors(
            source=lambda address: self.watched,
            models=lambda source: self.models,
            ledger=self.ledger,
            cursors=self.cursors,
            runs=self.runs,
            clock=self.clock,
            work=self.folder / "work",
        )

    def look(self, push: Push | None = None) -> list[Looked]:
        return look_around(repositories(self.services), self.doors, push)

    def started(self, push: Push | None = None) -> list[str]:
        """The runs that a look started."""
        return sorted(run for one in self.look(push) for run in one.started)

    def commit(self, text: str, folder: str = "serving_app") -> str:
        """Change a folder; the commit's id."""
        now = self.source.commits[self.source.refs["main"]]
        return self.source.commit("main", {**now, f"{folder}/app.py": text.encode()})

    def decide_run(self, run: str) -> Decision:
        """The run decides, and ends."""
        cause = Cause.model_validate(self.runs.conf[run]["trigger"])
        decision = self.decide(key=f"run:{run}", cause=cause, way="event")
        self.runs.end(run)
        return decision

    def settled(self) -> None:
        """All that there is was decided about, and the watch knows."""
        for run in self.started():
            self.decide_run(run)
        assert self.started() == []
