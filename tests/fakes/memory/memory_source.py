"""A source repository in memory."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from nightferry.entities.candidate import PinnedSource
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent


class MemorySource:
    """Branches and tags name commits; a commit is a dict of files. Set `fault` to make every call fail with it, and
    put a file's name into `elsewhere` for one that the commit only points to and that cannot be had."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, bytes]] = {}
        self.refs: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.elsewhere: set[str] = set()
        self.fault: NightferryError | None = None
        self.commit("main", {"serving_app/app.py": b"1", "tests/serving_app/test_app.py": b"1"})

    def commit(self, ref: str, files: dict[str, bytes]) -> str:
        """Commit these files to the branch `ref`; the commit's id."""
        commit = hashlib.sha1(str(len(self.commits)).encode()).hexdigest()
        self.commits[commit] = files
        self.refs[ref] = commit
        return commit

    def pin(self, ref: str, path: str, tests: str | None) -> PinnedSource:
        self._check()
        commit = self._resolve(ref)
        tree = self._tree(commit, path)
        if tests is not None:
            self._tree(commit, tests)
        return PinnedSource(repository=".", ref=ref, commit=commit, tree=tree, path=path, tests=tests)

    def export(self, commit: str, path: str, target: Path) -> None:
        self._check()
        self._tree(self._resolve(commit), path)
        files = self._files(commit, path)
        left = sorted(files.keys() & self.elsewhere)
        if left:
            raise Permanent(Reason.SOURCE_INCOMPLETE, f"The commit only points to {', '.join(left)}.")
        shutil.rmtree(target, ignore_errors=True)
        for name, content in files.items():
            file = target / (name if path == "." else name.removeprefix(f"{path}/"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def _resolve(self, ref: str) -> str:
        named = self.refs.get("main" if ref == "HEAD" else ref) or self.tags.get(ref)
        if named is None and re.fullmatch("[0-9a-f]{7,40}", ref):
            named = next((commit for commit in self.commits if commit.startswith(ref)), None)
        if named is None:
            raise Permanent(Reason.SOURCE_REF_UNKNOWN, f"There is no {ref!r}.")
        return named

    def _files(self, commit: str, path: str) -> dict[str, bytes]:
        within = "" if path == "." else f"{path}/"
        return {name: content for name, content in self.commits[commit].items() if name.startswith(within)}

    def _tree(self, commit: str, path: str) -> str:
        files = sorted(self._files(commit, path).items())
        if not files:
            raise Permanent(Reason.SOURCE_PATH_MISSING, f"{commit} has no folder {path}.")
        return hashlib.sha1(repr(files).encode()).hexdigest()

    def _check(self) -> None:
        if self.fault:
            raise self.fault
