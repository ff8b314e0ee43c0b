"""Apps of the tests' own on the sandbox: a repository each, a model of files, and several released side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightferry.entities.ledger_entry import Kind

from tests.e2e.stage import Stage

AT_ONCE = 4
SERVICE_FILE = """\
service: {service}
owner: nightferry-tests
description: Released by the tests; they remove it.
source: {{repository: "{repository}", ref: main, path: app{tests}}}
model: {{repository: azure-blob://models/{service}}}
image: {{repository: "${{NIGHTFERRY_REGISTRY}}/{service}"}}
environments:
  - {{name: production, namespace: production, replicas: 1, ready_seconds: 30, resources: {{cpu: 10m, memory: 96Mi}}}}
"""


@dataclass(frozen=True)
class Ended:
    """How a release of a service ended, by the command and by the record."""

    code: int
    outcome: str | None
    reason: str
    sentence: str
    """Of the decision where there was no release, else of the first step that failed."""
    decision: dict[str, Any]
    said: str


class AppStage(Stage):
    """One app."""

    def __init__(self, folder: Path, service: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, service)

    def begin_app(self, files: Mapping[str, str]) -> None:
        """Remove what a killed session left, then commit these files and add the service."""
        self.remove()
        self.repository.mkdir()
        self.git("init", "-q", "-b", "main")
        self.write(files)
        tests = ", tests: tests" if any(name.startswith("tests/") for name in files) else ""
        text = SERVICE_FILE.format(service=self.service, repository=self.repository, tests=tests)
        self.service_file.parent.mkdir(mode=0o700, exist_ok=True)
        self.service_file.write_text(text, encoding="utf-8")

    def write(self, files: Mapping[str, str]) -> str:
        """Write and commit; the commit's id."""
        for name, content in files.items():
            place = self.repository / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content, encoding="utf-8")
        return self.commit("Change the app")

    def publish(self, model: Path, examples: Sequence[Mapping[str, Any]] = (), *words: str) -> None:
        """Publish a model that only the app opens."""
        given = list(words)
        if examples:
            lines = self.folder / "examples.jsonl"
            lines.write_text("".join(f"{json.dumps(one)}\n" for one in examples), encoding="utf-8")
            given += ["--examples", str(lines)]
        done = self.nightferry("models", "publish", self.service, str(model), *given)
        assert done.returncode == 0, done.stderr

    def release(self) -> Ended:
        """Release and wait."""
        done = self.nightferry("release", self.service, "--wait", "--json", timeout=1200)  # its packages are built too
        shown = json.loads(done.stdout) if done.stdout.strip() else {}
        release, entries = shown.get("release"), self.entries()
        decided = [entry.data for entry in entries if entry.kind == Kind.DECISION]
        wrong = [
            entry for entry in entries if entry.kind == Kind.STEP and entry.reason not in ("succeeded", "rolled_out")
        ]
        last = entries[-1] if entries else None
        first = next((entry for entry in wrong if entry.reason not in ("upstream_failed", "verified")), last)
        return Ended(
            code=done.returncode,
            outcome=release["outcome"] if release else None,
            reason=first.reason if first else "",
            sentence=first.sentence if first else "",
            decision=decided[-1] if decided else {},
            said=f"{done.stdout}\n{done.stderr}",
        )


def side_by_side(stages: Iterable[AppStage]) -> dict[str, Ended]:
    """Release them, a few at once: by service, how each ended."""
    each = list(stages)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip((stage.service for stage in each), pool.map(AppStage.release, each), strict=True))


def run(*words: str | Path, folder: Path) -> None:
    """Run a script of Python."""
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
