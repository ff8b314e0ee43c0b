"""The base of Debian 13 is made once, of the mirrors that apt uses, and a sandbox without it goes on.

apt's programs and mmdebstrap are scripts that note their words; mmdebstrap writes what it was told to.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from nightferry.errors import NightferryError
from nightferry.sandbox import choices, secrets_files, state, up
from nightferry.sandbox.build import base_image, bootstrap, debian_13
from nightferry.sandbox.build.buildkit import Buildkit
from nightferry.sandbox.graph import Step
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import packages, ports
from nightferry.sandbox.progress import Progress
from nightferry.settings import Settings

DEBIAN = """Debian|bookworm|http://mirror.example/debian/|main
Debian|bookworm|http://mirror.example/debian/|non-free
Debian|bookworm-updates|http://mirror.example/debian/|main
Debian|bookworm-security|http://security.example/debian-security/|main
Others|bookworm|http://others.example/|main
"""
UBUNTU = (
    "Ubuntu|noble|http://mirror.example/ubuntu/|main\nUbuntu|noble-updates|http://mirror.example/ubuntu/|universe\n"
)
MMDEBSTRAP = (
    'printf "%s\\n" "$@" --end >> {folder}/made\nfor word; do case $word in */base.tar) echo made > $word ;; esac; done'
)


@dataclass
class Machine:
    """A machine of a distribution."""

    folder: Path
    found: str | None = None
    """What the registry has."""
    broken: bool = False

    def program(self, name: str, script: str) -> Path:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def ensure(self, problem: str | None = None) -> str | None:
        builder = Registry(self)
        return debian_13.ensure(self.progress, self.folder, self.folder / "logs", builder, problem)  # type: ignore[arg-type]

    def prefetch(self) -> str | None:
        return debian_13.prefetch(self.progress, self.folder / "logs")

    @property
    def progress(self) -> Progress:
        self.said = io.StringIO()
        return Progress(self.said)

    @property
    def made(self) -> list[list[str]]:
        """The words of each mmdebstrap."""
        file = self.folder / "made"
        return [call.splitlines() for call in file.read_text().split("--end\n") if call] if file.exists() else []


@dataclass
class Registry:
    """Has the image once it was built."""

    machine: Machine

    def find(self, repository: str, tag: str) -> str | None:
        assert (repository, tag) == (base_image.REPOSITORY, bootstrap.tag("trixie"))
        return self.machine.found

    def build(self, context: Path, repository: str, tag: str, log: Path) -> str:
        assert (context / "base.tar").read_text() == "made\n"
        self.machine.found = f"registry.example/{repository}@sha256:{tag}"
        return self.machine.found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A Debian 12 whose mirror has Debian 13 too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(packages, "as_root", lambda command: [str(word) for word in command])
    monkeypatch.setattr(packages, "missing", lambda names: [])
    made = Machine(tmp_path)
    monkeypatch.setattr(debian_13, "APT_HELPER", made.program("apt-helper", f'echo "$*" >> {tmp_path}/asked'))
    made.program("apt-config", "")
    made.program("mmdebstrap", MMDEBSTRAP.format(folder=tmp_path))
    folder = tmp_path / "docker" / "base"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch AS image\n")
    _distribution(made, monkeypatch, "bookworm", DEBIAN)
    return made


def _distribution(machine: Machine, monkeypatch: pytest.MonkeyPatch, codename: str, listed: str) -> None:
    monkeypatch.setattr(bootstrap.platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": codename})
    machine.program("apt-get", f"cat <<'END'\n{listed}END")


def test_it_is_made_once_and_found_otherwise(machine: Machine) -> None:
    assert machine.prefetch() is None
    image = machine.ensure()
    assert image is not None
    assert image.startswith("registry.example/nightferry/base@sha256:trixie-")
    assert machine.ensure() == image
    assert machine.prefetch() is None
    assert len(machine.made) == 1
    words = machine.made[0]
    assert words[-3] == "trixie"
    assert "--include=ca-certificates,python3,python3-venv" in words


def test_what_is_in_the_registry_is_taken_without_looking_for_the_archive(machine: Machine) -> None:
    machine.found = "registry.example/nightferry/base@sha256:1"
    machine.program("apt-helper", "exit 100")
    assert machine.ensure() == machine.found
    assert machine.ensure("The archive cannot be reached.") == machine.found


def test_its_packages_come_from_the_mirror_that_apt_uses(machine: Machine) -> None:
    assert bootstrap.sources("trixie") == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
        "deb http://security.example/debian-security/ trixie-security main",
    ]
    assert [line.split()[2] for line in bootstrap.sources("bookworm")] == [
        "bookworm",
        "bookworm-updates",
        "bookworm-security",
    ]
    machine.prefetch()
    asked = (machine.folder / "asked").read_text()
    assert "download-file http://mirror.example/debian/dists/trixie/InRelease" in asked
    assert not [word for word in machine.made[0] if word.startswith("--keyring")], "apt's own keys count"


def test_on_ubuntu_they_come_from_where_mmdebstrap_says_and_are_checked_with_debians_keys(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _distribution(machine, monkeypatch, "noble", UBUNTU)
    assert bootstrap.sources("trixie") == []
    assert bootstrap.sources("noble") == [
        "deb http://mirror.example/ubuntu/ noble main",
        "deb http://mirror.example/ubuntu/ noble-updates universe",
    ]
    assert machine.prefetch() is None
    assert f"--keyring={packages.DEBIAN_KEYS}" in machine.made[0]
    assert machine.made[0][-1].endswith("/base.tar"), "a list of sources would keep it from its own"


def test_the_tool_and_debians_keys_are_installed_where_they_are_missing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(packages, "ensure", lambda progress, logs, names: installed.extend(names))
    machine.prefetch()
    assert installed == ["mmdebstrap", "debian-archive-keyring"]


@pytest.mark.parametrize("helper", ["exit 100", "exec sleep 60", None])
def test_without_the_archive_it_is_said_and_nothing_is_tried(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, helper: str | None
) -> None:
    monkeypatch.setattr(bootstrap, "REACH_SECONDS", 0.2)
    if helper is None:
        monkeypatch.setattr(debian_13, "APT_HELPER", Path("/nowhere/apt-helper"))
    else:
        machine.program("apt-helper", helper)
    problem = machine.prefetch()
    assert problem is not None
    assert machine.ensure(problem) is None
    assert problem in machine.said.getvalue()
    assert debian_13.WITHOUT in machine.said.getvalue()
    assert machine.made == []


def test_what_breaks_off_is_said_and_made_by_the_next_call(machine: Machine) -> None:
    machine.program("mmdebstrap", f"printf 'trixie\\n--end\\n' >> {machine.folder}/made; exit 25")
    problem = machine.prefetch()
    assert machine.ensure(problem) is None
    assert len(machine.made) == 1, "not tried twice"
    assert "make-base-image-trixie.log" in machine.said.getvalue()
    machine.program("mmdebstrap", MMDEBSTRAP.format(folder=machine.folder))
    assert machine.ensure() == machine.found is not None


def test_a_registry_that_does_not_answer_is_an_error(machine: Machine, tmp_path: Path) -> None:
    builder = Buildkit(tmp_path / "buildctl", "unix:///run/builder.sock", "127.0.0.1:1")
    with pytest.raises(NightferryError):
        debian_13.ensure(machine.progress, tmp_path, tmp_path / "logs", builder)


def upping(layout: Layout, kept: dict[str, str], **given: str) -> up._Up:
    state.write(layout, state.State(kept, {}))
    settings = Settings(layout.root, layout.home, given)
    made = up._Up(settings, layout, Progress(io.StringIO()), False)
    made.choices = choices.Choices(True, True, True, True, True, "unix:///run/docker.sock")
    made.ports = ports.choose({}, False)
    secrets_files.ensure(layout)
    made.had_images = made.had_debian_13 = bool(kept)
    made.state = state.State(kept, {})
    return made


def needs(steps: list[Step], name: str) -> set[str]:
    """What must be done before a step."""
    named = {step.name: step for step in steps}
    direct = [need for need in named[name].needs if need in named]
    return set(direct).union(*(needs(steps, need) for need in direct))


def test_no_other_step_waits_for_it_and_it_waits_for_those_that_all_wait_for(layout: Layout) -> None:
    steps = upping(layout, {}).steps()
    ours = {step.name for step in steps if "debian 13" in step.name}
    assert {step.name for step in steps if ours & needs(steps, step.name)} | ours == ours
    assert "images" in needs(steps, "image of debian 13")
    assert "kube-apiserver" not in needs(steps, "packages of debian 13"), "beside the rest"


def test_an_image_of_ones_own_is_used_instead(layout: Layout) -> None:
    steps = upping(layout, {}, NIGHTFERRY_BASE_IMAGE_DEBIAN_13="mine@sha256:1").steps()
    assert [step.name for step in steps if "debian 13" in step.name] == []


def test_up_writes_the_setting_and_keeps_the_last_one_where_none_can_be_made(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = upping(layout, {})
    monkeypatch.setattr(work, "_builder", lambda: None)
    monkeypatch.setattr(debian_13, "ensure", lambda *words: None)
    work._debian_13()
    assert Settings(layout.root, layout.home, {}).base_image_debian_13 is None
    monkeypatch.setattr(debian_13, "ensure", lambda *words: "made@sha256:1")
    work._debian_13()
    assert Settings(layout.root, layout.home, {}).base_image_debian_13 == "made@sha256:1"
    monkeypatch.setattr(debian_13, "ensure", lambda *words: None)
    work._debian_13()
    assert Settings(layout.root, layout.home, {}).base_image_debian_13 == "made@sha256:1"
    assert "NIGHTFERRY_BASE_IMAGE_DEBIAN_13" in up.KEPT
    assert json.loads((layout.home / "sandbox.json").read_text())["settings"]
