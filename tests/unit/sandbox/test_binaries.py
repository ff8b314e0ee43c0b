"""Programs are compiled once, whole or not at all. The compiler here is a script that notes its calls."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.build import binaries, cache, gateway_crds
from nightferry.sandbox.progress import Progress, StepFailed

ROOT = Path(__file__).resolve().parents[3]
COMPILER = """#!/bin/sh
echo "$@" >> {calls}
while [ $# -gt 0 ]; do
    case $1 in
    -o) out=$2; shift ;;
    ./cmd/*|*/cmd/*) echo compiled > "$out/$(basename "$1")" ;;
    esac
    shift
done
{last}
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a Go module, an empty cache, and a compiler."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(binaries, "SPACE_GIGABYTES", 0)
    shutil.copytree(ROOT / "sandbox", tmp_path / "sandbox", ignore=shutil.ignore_patterns("node_modules"))
    download(tmp_path / "sandbox")
    compiler(tmp_path)
    return tmp_path / "calls"


def download(sandbox: Path) -> None:
    """What Go's cache holds of the gateway's modules, once they are compiled."""
    versions = binaries._versions(sandbox / "gateway")
    for module, pattern in gateway_crds.PLACES:
        file = cache.cache_folder() / "go" / "modules" / f"{module}@v{versions[module]}" / pattern.replace("*", "x")
        file.parent.mkdir(parents=True)
        file.write_text(f"---\nkind: {module}\n---\n---\nkind: another\n")


def compiler(folder: Path, last: str = "exit 0") -> None:
    (folder / "go").write_text(COMPILER.format(calls=folder / "calls", last=last))
    (folder / "go").chmod(0o755)


def ensure(calls: Path, *parts: str) -> dict[str, Path]:
    root = calls.parent
    return binaries.ensure(Progress(io.StringIO()), root, root / "logs", parts or tuple(binaries.PARTS), root / "go")


def test_every_program_is_there_after_one_compilation_of_each_part(calls: Path) -> None:
    first = ensure(calls)
    assert set(first) == {"nightferry-kube", "coredns", "pause", "buildkitd", "buildctl", "contour", "versitygw"}
    assert all(path.read_text() == "compiled\n" for path in first.values())
    assert len(calls.read_text().splitlines()) == len(binaries.PARTS)

    assert ensure(calls) == first
    assert len(calls.read_text().splitlines()) == len(binaries.PARTS)


def test_only_the_parts_asked_for_are_compiled(calls: Path) -> None:
    assert set(ensure(calls, "buildctl")) == {"buildctl"}
    assert "kube" not in calls.read_text()


def test_a_changed_module_is_compiled_anew_beside_the_old_one(calls: Path) -> None:
    before = ensure(calls, "kubernetes")
    main = calls.parent / "sandbox" / "cmd" / "pause" / "main.go"
    main.write_text(main.read_text() + "\n// changed\n")
    after = ensure(calls, "kubernetes")
    assert after["pause"] != before["pause"]
    assert after["pause"].exists()
    assert before["pause"].exists()


def test_a_failed_compilation_leaves_nothing_that_looks_whole(calls: Path) -> None:
    compiler(calls.parent, last="exit 2")
    with pytest.raises(StepFailed) as failure:
        ensure(calls, "buildkit")
    assert str(calls.parent / "logs" / "build-buildkit.log") in failure.value.sentence
    compiler(calls.parent)
    assert ensure(calls, "buildkit")["buildkitd"].exists()


def test_what_an_interrupted_compilation_left_is_cleared_away(calls: Path) -> None:
    folder = ensure(calls, "buildctl")["buildctl"].parent
    leftover = cache.cache_folder() / f".{folder.name}.partial"
    folder.rename(leftover)
    (leftover / "half").write_text("written")
    again = ensure(calls, "buildctl")["buildctl"].parent
    assert [path.name for path in again.iterdir()] == ["buildctl"]
    assert not leftover.exists()


def test_two_processes_compile_once(calls: Path) -> None:
    compiler(calls.parent, last="sleep 0.5")
    root = calls.parent
    script = (
        "import io,sys;from pathlib import Path;from nightferry.sandbox.build import binaries;"
        "from nightferry.sandbox.progress import Progress;root=Path(sys.argv[1]);binaries.SPACE_GIGABYTES=0;"
        "binaries.ensure(Progress(io.StringIO()),root,root/'logs',['buildctl'],root/'go')"
    )
    command = [sys.executable, "-c", script, str(root)]
    both = [
        subprocess.Popen(
            command,
            env={"PYTHONPATH": str(ROOT / "plugins"), "XDG_CACHE_HOME": str(root / "cache"), "PATH": "/usr/bin:/bin"},
        )
        for _ in range(2)
    ]
    assert [process.wait(30) for process in both] == [0, 0]
    assert len(calls.read_text().splitlines()) == 1


def test_a_full_disk_is_said_before_anything_is_compiled(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "SPACE_GIGABYTES", 10**9)
    with pytest.raises(Permanent) as failure:
        ensure(calls)
    assert failure.value.reason == Reason.DISK_FULL
    assert not calls.exists()


def test_versions_are_those_of_the_module(calls: Path) -> None:
    path = ensure(calls, "kubernetes")["nightferry-kube"]
    required = next(
        line for line in (ROOT / "sandbox" / "go.mod").read_text().splitlines() if "k8s.io/kubernetes v" in line
    )
    version = required.split()[-1]
    assert path.parent.name.startswith(f"kubernetes-{version[1:]}-")
    assert f"gitVersion={version}" in calls.read_text()
    assert f"gitMinor={version.split('.')[1]}" in calls.read_text()


def test_the_gateway_is_a_module_of_its_own(calls: Path) -> None:
    before = ensure(calls, "gateway", "buildctl")
    [line] = [line for line in calls.read_text().splitlines() if "cmd/contour" in line]
    version = binaries._versions(ROOT / "sandbox" / "gateway")[gateway_crds.CONTOUR]
    assert f"build.Version=v{version}" in line
    assert "kubernetes" not in line.lower()
    assert before["contour"].parent.name.startswith(f"gateway-{version}-")

    module = calls.parent / "sandbox" / "gateway" / "go.mod"
    module.write_text(module.read_text() + "\n// changed\n")
    after = ensure(calls, "gateway", "buildctl")
    assert after["contour"] != before["contour"]
    assert after["buildctl"] == before["buildctl"]


def test_the_gateways_kinds_are_kept_beside_it(calls: Path) -> None:
    kinds = ensure(calls, "gateway")["contour"].with_name(gateway_crds.FILE)
    shutil.rmtree(cache.cache_folder() / "go")
    found = [one["kind"] for one in json.loads(kinds.read_text())]
    assert found == [gateway_crds.API, "another", gateway_crds.CONTOUR, "another"]


def test_a_gateway_without_its_kinds_is_none(calls: Path) -> None:
    shutil.rmtree(cache.cache_folder() / "go")
    with pytest.raises(Permanent) as failure:
        ensure(calls, "gateway")
    assert gateway_crds.API in failure.value.sentence
    assert not list(cache.cache_folder().glob("gateway-*"))


def test_leftovers_of_the_compiler_can_be_discarded(calls: Path) -> None:
    programs = ensure(calls)
    sources = cache.cache_folder() / "go" / "modules"
    sources.mkdir(parents=True, exist_ok=True)
    binaries.discard_leftovers()
    assert not sources.exists()
    assert all(path.exists() for path in programs.values())


def test_what_must_be_compiled_is_said_once_with_how_to_do_without(calls: Path) -> None:
    out = io.StringIO()
    binaries.announce(Progress(out), calls.parent, ["buildctl", "kubernetes"])
    assert "NIGHTFERRY_KUBECONFIG" in out.getvalue()
    assert "NIGHTFERRY_BUILDKIT" not in out.getvalue()
    both = io.StringIO()
    binaries.announce(Progress(both), calls.parent, ["kubernetes", "gateway"])
    assert "Kubernetes and Contour" in both.getvalue()
    assert both.getvalue().count("NIGHTFERRY_KUBECONFIG") == 1

    ensure(calls, "buildctl", "kubernetes")
    silent = io.StringIO()
    binaries.announce(Progress(silent), calls.parent, ["buildctl", "kubernetes"])
    assert not silent.getvalue()
