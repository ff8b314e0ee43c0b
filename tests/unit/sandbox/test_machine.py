"""The machine around the sandbox: its lock, control groups, mounts, root."""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from nightferry.errors import Permanent
from nightferry.sandbox.layout import MARKER, Layout
from nightferry.sandbox.machine import cgroups, mounts, ownership, privileges


def test_one_command_at_a_time(layout: Layout) -> None:
    second = pytest.raises(Permanent, match="wait for it")
    with ownership.exclusively(layout), second, ownership.exclusively(layout):
        pass
    with ownership.exclusively(layout):
        pass


def test_another_sandbox_that_runs_is_not_disturbed(layout: Layout) -> None:
    other = replace(layout, home=layout.home.parent / "other")
    ownership.claim(other, own_docker=False)
    ownership.refuse_another(layout)  # claimed, but nothing of it runs
    with subprocess.Popen(["sleep", "60"], env={MARKER: str(other.home), "PATH": os.environ["PATH"]}) as left:
        with pytest.raises(Permanent, match=f"NIGHTFERRY_HOME={other.home} nightferry down"):
            wait_until_marked(left.pid, layout)
        ownership.refuse_another(other)
        left.kill()
    ownership.refuse_another(layout)


def is_python(pid: int) -> bool:
    return "python" in Path(f"/proc/{pid}/comm").read_text()


def wait_until_marked(pid: int, layout: Layout) -> None:
    for _ in range(1000):
        if MARKER.encode() in Path(f"/proc/{pid}/environ").read_bytes() and not is_python(pid):
            break
    ownership.refuse_another(layout)


def test_a_claim_of_before_a_reboot_does_not_count(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    ownership.claim(replace(layout, home=layout.home.parent / "other"), own_docker=False)
    monkeypatch.setattr(ownership, "BOOT", layout.home / "boot")
    (layout.home / "boot").write_text("another")
    ownership.refuse_another(layout)


def test_control_groups_of_version_2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    (tmp_path / "cgroup.subtree_control").touch()
    (tmp_path / "cgroup.procs").touch()
    cgroups.ensure(tmp_path)
    assert cgroups.hierarchies(tmp_path) == [tmp_path]
    assert (tmp_path / cgroups.GROUP).is_dir()


def test_control_groups_of_version_1(tmp_path: Path) -> None:
    for name in ("cpuset", "memory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "cpu").symlink_to(tmp_path / "cpuset")
    for pid, group in (("11", "cpuset/nightferry/kubepods/pod1"), ("12", "memory/nightferry/docker")):
        (tmp_path / group).mkdir(parents=True)
        (tmp_path / group / "cgroup.procs").write_text(f"{pid}\n")
    assert cgroups.hierarchies(tmp_path) == [tmp_path / "cpuset", tmp_path / "memory"]
    assert cgroups.processes(tmp_path) == {11, 12}


def test_containers_end_when_asked_or_when_made_to(tmp_path: Path) -> None:
    group = tmp_path / "memory" / cgroups.GROUP
    group.mkdir(parents=True)
    (tmp_path / "memory" / "cgroup.procs").touch()
    with subprocess.Popen(["sleep", "60"]) as container:
        (group / "cgroup.procs").write_text(f"{container.pid}\n")

        def leave() -> None:
            container.wait()
            (group / "cgroup.procs").write_text("")

        threading.Thread(target=leave, daemon=True).start()
        cgroups.end_processes(10, tmp_path)
    assert cgroups.processes(tmp_path) == set()
    assert container.returncode == -15


def test_mounts_below_our_folders_deepest_first(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    lines = ["/", "/run/nightferry/a", "/run/nightferry/a/b/c", "/run/nightferry2", "/data/with\\040space/x"]
    table.write_text("".join(f"{n} 1 0:1 / {point} rw - ext4 /dev/a rw\n" for n, point in enumerate(lines)))
    found = mounts.below([Path("/run/nightferry"), Path("/data/with space")], table)
    assert found == [Path("/run/nightferry/a/b/c"), Path("/run/nightferry/a"), Path("/data/with space/x")]


def test_an_overlay_elsewhere_of_our_folders_is_ours(tmp_path: Path) -> None:
    """As a builder that was killed leaves it in /tmp."""
    table = tmp_path / "mountinfo"
    ours, others = "/run/nightferry/l/2:/run/nightferry/l/1", "/var/lib/l/2:/var/lib/l/1"
    lines = [f"{n} 1 0:1 / /tmp/m{n} ro - overlay overlay ro,lowerdir={of}\n" for n, of in enumerate([ours, others])]
    table.write_text("".join(lines))
    assert mounts.below([Path("/run/nightferry")], table) == [Path("/tmp/m0")]


def test_sudo_keeps_our_settings_and_nothing_secret_in_its_arguments() -> None:
    environment = {"NIGHTFERRY_HOME": "/h", "HTTPS_PROXY": "http://user:word@proxy", "SECRET": "x"}
    environment |= {"PATH": "/go/bin", "HOME": "/home/a"}
    words = privileges.sudo_command("/usr/bin/sudo", ["up", "--json"], environment)
    assert words[1] == "--preserve-env=HTTPS_PROXY,NIGHTFERRY_HOME"
    assert words[-2:] == ["up", "--json"]
    assert "PATH=/go/bin" in words
    assert "HOME=/home/a" in words
    assert "PYTHONDONTWRITEBYTECODE=1" in words, "root's bytecode in .venv would keep its owner from removing it"
    assert not any("word" in word or "SECRET" in word for word in words)
