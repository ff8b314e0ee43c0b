"""A source repository in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nightferry.entities.candidate import PinnedSource
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent


class MemorySource:
    """Refs name commits; a commit is a dict of files. Set `fault` to make every call fail with it."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, bytes]] = {}
        self.refs: dict[str, str] = {}
        self.fault: NightferryError | None = None
        self.commit("main", {"serving_app/app.py": b"1", "tests/serving_app/test_app.py": b"1"})

    def commit(self, ref: str, files: dict[str, bytes]) -> str:
        """Commit these files to `ref`; the commit's id."""
        commit = f"{len(self.commits) + 1:040x}"
        self.commits[commit] = files
        self.refs[ref] = commit
        return commit

    def pin(self, ref: str, path: str, tests: str | None) -> PinnedSource:
        self._check()
        commit = ref if ref in self.commits else self.refs.get(ref)
        if commit is None:
            raise Permanent(Reason.SOURCE_REF_UNKNOWN, f"There is no {ref}.")
        tree = self._tree(commit, path)
        if tests is not None:
            self._tree(commit, tests)
        return PinnedSource(repository=".", ref=ref, commit=commit, tree=tree, path=path, tests=tests)

    def export(self, commit: str, path: str, target: Path) -> None:
        self._check()
        self._tree(commit, path)
        for name, content in self.commits[commit].items():
            if name.startswith(f"{path}/"):
                file = target / name.removeprefix(f"{path}/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

    def _tree(self, commit: str, path: str) -> str:
        files = sorted((name, content) for name, content in self.commits[commit].items() if name.startswith(f"{path}/"))
        if not files:
            raise Permanent(Reason.SOURCE_PATH_MISSING, f"{commit} has no folder {path}.")
        return hashlib.sha1(repr(files).encode()).hexdigest()

    def _check(self) -> None:
        if self.fault:
            raise self.fault
