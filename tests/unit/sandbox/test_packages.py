"""Installing packages must not start their services, not now and not after a kill."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from nightferry.sandbox.machine import packages
from nightferry.sandbox.progress import Progress

ASKED = """echo "$*" >> "$ROOT/calls"
if [ -e "$ROOT/policy" ]; then "$ROOT/policy" docker start; echo "policy $?" >> "$ROOT/calls"; fi"""


def program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An apt-get that asks the policy as a package's scripts do, and notes the answer."""
    program(tmp_path / "bin" / "apt-get", ASKED)
    program(tmp_path / "bin" / "dpkg", "exit 0")
    program(tmp_path / "bin" / "systemctl", "exit 0")
    return {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "ROOT": str(tmp_path)}


def install(machine: dict[str, str], policy: Path, package: str = "docker.io") -> subprocess.Popen[bytes]:
    clusters = policy.with_name("postgresql-common") / "createcluster.conf"
    return subprocess.Popen(["sh", "-c", packages.INSTALL, "sh", str(policy), str(clusters), package], env=machine)


def test_no_service_may_start_while_packages_are_installed(machine: dict[str, str], tmp_path: Path) -> None:
    assert install(machine, tmp_path / "policy").wait(10) == 0
    calls = (tmp_path / "calls").read_text()
    assert "install -y --no-install-recommends docker.io\npolicy 101" in calls
    assert not (tmp_path / "policy").exists()


def test_a_policy_that_is_there_stays(machine: dict[str, str], tmp_path: Path) -> None:
    program(tmp_path / "policy", "exit 104")
    assert install(machine, tmp_path / "policy").wait(10) == 0
    assert "policy 104" in (tmp_path / "calls").read_text()
    assert (tmp_path / "policy").read_text().endswith("exit 104\n")


def test_after_a_kill_services_may_start_again_and_the_next_call_goes_on(
    machine: dict[str, str], tmp_path: Path
) -> None:
    policy = tmp_path / "policy"
    program(tmp_path / "bin" / "apt-get", f"{ASKED}\nexec sleep 60")
    killed = install(machine, policy)
    deadline = time.monotonic() + 10
    while not (tmp_path / "calls").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert subprocess.run([policy], check=False).returncode == 101
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(10)
    assert subprocess.run([policy], check=False).returncode == 0

    program(tmp_path / "bin" / "apt-get", ASKED)
    assert install(machine, policy).wait(10) == 0
    assert not policy.exists()


def test_before_postgresql_comes_it_is_told_to_make_no_database(machine: dict[str, str], tmp_path: Path) -> None:
    program(tmp_path / "bin" / "apt-get", 'cat "$ROOT/postgresql-common/createcluster.conf" >> "$ROOT/calls"')
    assert install(machine, tmp_path / "policy", "postgresql").wait(10) == 0
    assert (tmp_path / "calls").read_text().splitlines() == ["create_main_cluster = false"] * 2  # update, install


@pytest.mark.parametrize("written", ["create_main_cluster = true\n", "  create_main_cluster=false\n"])
def test_what_a_person_wrote_about_databases_stays(machine: dict[str, str], tmp_path: Path, written: str) -> None:
    file = tmp_path / "postgresql-common" / "createcluster.conf"
    file.parent.mkdir()
    file.write_text(written)
    assert install(machine, tmp_path / "policy", "postgresql").wait(10) == 0
    assert file.read_text() == written


def test_other_packages_leave_databases_alone(machine: dict[str, str], tmp_path: Path) -> None:
    assert install(machine, tmp_path / "policy").wait(10) == 0
    assert not (tmp_path / "postgresql-common").exists()


def test_it_waits_for_whoever_installs_at_this_moment(machine: dict[str, str], tmp_path: Path) -> None:
    locked = "dpkg frontend lock was locked by another process with pid 1"
    once = f'[ -e "$ROOT/free" ] || {{ touch "$ROOT/free"; echo "dpkg: error: {locked}" >&2; exit 2; }}'
    program(tmp_path / "bin" / "dpkg", once)
    assert install(machine, tmp_path / "policy").wait(10) == 0
    assert "install -y --no-install-recommends docker.io" in (tmp_path / "calls").read_text()


def test_a_broken_dpkg_is_an_error_at_once(machine: dict[str, str], tmp_path: Path) -> None:
    program(tmp_path / "bin" / "dpkg", 'echo "dpkg: error processing package docker.io" >&2; exit 1')
    assert install(machine, tmp_path / "policy").wait(10) == 2
    assert not (tmp_path / "calls").exists()


def test_two_steps_install_one_after_the_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The second would overwrite the first one's policy, and take it away while the first still needs it."""
    inside, most = 0, 0
    met = threading.Barrier(2)

    def run(*_: object) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        with suppress(threading.BrokenBarrierError):
            met.wait(0.3)  # as long as it takes two that do not wait to meet here
        inside -= 1

    monkeypatch.setattr(packages, "run_logged", run)
    monkeypatch.setattr(packages, "as_root", list)
    monkeypatch.setattr(packages.os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages, "missing", list)
    progress = Progress(io.StringIO())
    steps = [
        threading.Thread(target=packages.ensure, args=(progress, tmp_path, [name])) for name in ("docker.io", "nginx")
    ]
    for step in steps:
        step.start()
    for step in steps:
        step.join(10)
    assert most == 1


def test_a_failed_install_is_an_error_and_leaves_no_policy(machine: dict[str, str], tmp_path: Path) -> None:
    program(tmp_path / "bin" / "apt-get", '[ "$5" != install ] && [ "$4" != install ] || exit 100')
    assert install(machine, tmp_path / "policy").wait(10) == 100
    assert not (tmp_path / "policy").exists()


def test_only_what_has_no_program_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin" / "runc", "")
    monkeypatch.setattr(packages, "SEARCH", str(tmp_path / "bin"))
    monkeypatch.setattr(packages, "CNI_FOLDERS", (tmp_path / "cni",))
    assert packages.missing(["runc", "containerd", "containernetworking-plugins", "containerd"]) == [
        "containerd",
        "containernetworking-plugins",
    ]
    program(tmp_path / "cni" / "bridge", "")
    assert packages.missing(["containernetworking-plugins"]) == []


@pytest.mark.parametrize(
    ("release", "wanted"),
    [
        ({"ID": "debian"}, packages.BROWSER),
        ({"ID": "raspbian", "ID_LIKE": "debian"}, packages.BROWSER),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, ()),
        ({"ID": "pop", "ID_LIKE": "ubuntu debian"}, ()),
    ],
)
def test_a_browser_is_a_package_on_debian_and_a_snap_on_ubuntu(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str], wanted: tuple[str, ...]
) -> None:
    monkeypatch.setattr(packages.platform, "freedesktop_os_release", lambda: release)
    assert packages.browser() == wanted


def test_each_package_of_the_browser_has_a_program() -> None:
    assert set(packages.BROWSER) <= packages.PROGRAMS.keys()
