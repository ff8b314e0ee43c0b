"""A full disk is told from other faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.clients.full_disk import full_disk
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


def test_no_space_left_is_disk_full(tmp_path: Path):
    with pytest.raises(Permanent) as failure, full_disk(tmp_path), Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
    assert failure.value.reason == Reason.DISK_FULL
    assert str(tmp_path) in failure.value.sentence


def test_other_faults_stay_what_they_are(tmp_path: Path):
    with pytest.raises(FileNotFoundError), full_disk(tmp_path):
        (tmp_path / "none").read_bytes()
