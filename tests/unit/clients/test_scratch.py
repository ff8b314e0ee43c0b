"""Folders for a moment."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from nightferry.clients.scratch import STALE_SECONDS, scratch


def test_a_folder_is_private_and_gone_afterwards(tmp_path: Path):
    """It may hold credentials."""
    with scratch("build-", tmp_path / "new") as folder:
        (folder / "file").write_text("x")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path):
    """Another build that is running now keeps its folder; a folder of another kind is not touched."""
    for name, age in (("build-old", STALE_SECONDS + 60), ("build-running", 60), ("other-old", STALE_SECONDS + 60)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)

    with scratch("build-", tmp_path):
        pass

    assert sorted(path.name for path in tmp_path.iterdir()) == ["build-running", "other-old"]
