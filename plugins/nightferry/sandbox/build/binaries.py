"""The sandbox's programs that no package manager has: Kubernetes, etcd, CoreDNS, BuildKit, Contour and versitygw,
compiled from source.

All but the last two are one Go module (`sandbox/`), because then what they share is compiled once. Contour and
versitygw are modules of their own (`sandbox/gateway/`, `sandbox/s3/`): they ask for newer versions of what they share.
What is compiled stays in the cache, named by its module's content, so this is needed once per machine and again only
after a change of the module.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nightferry.sandbox.build import cache, gateway_crds, toolchain
from nightferry.sandbox.progress import Progress, duration, run_logged

FLAGS = ("-trimpath", "-gcflags=all=-dwarf=false")
"""Debug information takes a tenth of the time to write, and would be stripped again."""
SPACE_GIGABYTES = 6
"""What the sources and Go's own build cache take while programs are compiled."""
COMPILER_MEMORY = 1 << 30
"""Bytes that a compiler process must be allowed before its garbage collector is turned off."""


@dataclass(frozen=True)
class Part:
    """Programs that are needed, compiled and kept together."""

    title: str
    module: str
    """The module whose version the part has."""
    packages: Mapping[str, str]
    """Program name -> Go package."""
    setting: str
    """What a user sets to use one of their own instead."""
    cpu_seconds: float
    """What one core needs for it, once the parts before it are compiled."""
    folder: str = ""
    """The folder of its Go module below `sandbox/`."""
    beside: Callable[[Path, Mapping[str, str], Path], None] | None = None
    """Keeps what else is wanted of the sources: called with Go's modules, their versions, and where to put it."""

    def sources(self, root: Path) -> Path:
        """Its Go module."""
        return root / "sandbox" / self.folder


BUILDKIT = "github.com/moby/buildkit"
KUBERNETES = "k8s.io/kubernetes"
VERSITYGW = "github.com/versity/versitygw"
KUBERNETES_STAMPS = "k8s.io/component-base/version"
STAMPS = {
    f"{KUBERNETES_STAMPS}.gitVersion": KUBERNETES,
    f"{BUILDKIT}/version.Version": BUILDKIT,
    f"{gateway_crds.CONTOUR}/internal/build.Version": gateway_crds.CONTOUR,
}
"""Go variables that say a program's version, and the module whose version it is."""
PARTS: Mapping[str, Part] = {
    "buildctl": Part(
        "BuildKit's client", BUILDKIT, {"buildctl": f"{BUILDKIT}/cmd/buildctl"}, "NIGHTFERRY_BUILDCTL", 75
    ),
    "buildkit": Part("BuildKit", BUILDKIT, {"buildkitd": f"{BUILDKIT}/cmd/buildkitd"}, "NIGHTFERRY_BUILDKIT", 45),
    "kubernetes": Part(
        "Kubernetes",
        KUBERNETES,
        {"nightferry-kube": "./cmd/nightferry-kube", "coredns": "./cmd/coredns", "pause": "./cmd/pause"},
        "NIGHTFERRY_KUBECONFIG",
        380,
    ),
    "gateway": Part(
        "Contour",
        gateway_crds.CONTOUR,
        {"contour": f"{gateway_crds.CONTOUR}/cmd/contour"},
        "NIGHTFERRY_KUBECONFIG",
        420,
        folder="gateway",
        beside=gateway_crds.write,
    ),
    "s3": Part(
        "an S3 storage",
        VERSITYGW,
        {"versitygw": f"{VERSITYGW}/cmd/versitygw"},
        "NIGHTFERRY_S3_URL",
        135,
        folder="s3",
    ),
}


def ensure(
    progress: Progress, root: Path, logs: Path, parts: Iterable[str] = tuple(PARTS), toolbox: Path | None = None
) -> dict[str, Path]:
    """Program name -> path, for every program of `parts`; compiles those that are not in the cache.

    Args:
        root: the project's root, which holds `sandbox/`.
        logs: the folder of `build-<part>.log`.
        parts: keys of `PARTS`; later ones use what compiling the earlier ones left.
        toolbox: the `go` to use; found or installed where None.

    Raises:
        StepFailed: the compiler failed.
        Permanent: (disk_full) there is no space to compile in.
    """
    wanted = {name: _folder(root, name) for name in parts}
    missing = [name for name in wanted if not (cache.cache_folder() / wanted[name]).is_dir()]
    if missing:
        cache.check_space(cache.cache_folder(), SPACE_GIGABYTES)
        go = toolbox or toolchain.go(progress, root, logs)
        with cache.locked("go"):
            for name in missing:
                part, log = PARTS[name], logs / f"build-{name}.log"
                expected = part.cpu_seconds / (os.cpu_count() or 1)
                with progress.step(f"compile {part.title}", log=log, expected=expected):
                    cache.kept(wanted[name], partial(_compile, part.sources(root), go, part, log))
    return {
        program: cache.cache_folder() / wanted[name] / program for name in wanted for program in PARTS[name].packages
    }


def discard_leftovers() -> None:
    """Remove the sources and Go's build cache (3 GB): call it when everything wanted is compiled."""
    with cache.locked("go"):
        shutil.rmtree(cache.cache_folder() / "go", ignore_errors=True)


def announce(progress: Progress, root: Path, parts: Iterable[str]) -> None:
    """Say what of `parts` must be compiled, how long that takes, and how to do without. Silent where nothing must."""
    folder = cache.cache_folder()
    absent = [PARTS[name] for name in parts if not (folder / _folder(root, name)).is_dir()]
    if absent:
        seconds = sum(part.cpu_seconds for part in absent) / (os.cpu_count() or 1)
        words = zip(*((part.title, part.setting) for part in absent), strict=True)
        titles, settings = (" and ".join(dict.fromkeys(each)) for each in words)
        progress.say(
            f"No package has {titles}: compiled from source, once on this machine, about {duration(seconds)}. "
            f"To use your own instead, set {settings}."
        )


def _compile(module: Path, go: Path, part: Part, log: Path, folder: Path) -> None:
    versions = _versions(module)
    stamps = {name: f"v{versions[of]}" for name, of in STAMPS.items() if of in versions}
    if KUBERNETES in versions:
        major, minor, _ = versions[KUBERNETES].split(".", 2)
        stamps |= {f"{KUBERNETES_STAMPS}.gitMajor": major, f"{KUBERNETES_STAMPS}.gitMinor": minor}
    linker = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in stamps.items())])
    command: list[str | Path] = [go, "build", *FLAGS, "-ldflags", linker, "-o", f"{folder}/", *part.packages.values()]
    environment = _environment()
    run_logged(command, log, environment, cwd=module)
    if part.beside:
        part.beside(Path(environment["GOMODCACHE"]), versions, folder)


def _environment() -> dict[str, str]:
    """The machine's own Go settings (its proxy, its certificates), and what decides the result."""
    go = cache.cache_folder() / "go"
    env = {name: value for name, value in os.environ.items() if name not in {"GOARCH", "GOEXPERIMENT", "GOROOT"}}
    env |= {
        "CGO_ENABLED": "0",
        "GOCACHE": str(go / "build"),
        # Kept apart from the user's own, writable so that it can be removed.
        "GOMODCACHE": str(go / "modules"),
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOOS": "linux",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 3 // (os.cpu_count() or 1)
    if memory > COMPILER_MEMORY:
        # A compiler process lives for seconds: collecting its garbage is wasted work while memory lasts.
        env |= {"GOGC": "off", "GOMEMLIMIT": str(memory)}
    return env


def _versions(module: Path) -> dict[str, str]:
    """Module path -> version without the `v`, as required by go.mod."""
    text = (module / "go.mod").read_text(encoding="utf-8")
    return dict(re.findall(r"^(?:require )?\t?(\S+) v(\S+)", text, re.MULTILINE))


def _folder(root: Path, name: str) -> str:
    module = PARTS[name].sources(root)
    return f"{name}-{_versions(module)[PARTS[name].module]}-{_key(module)}"


def _key(module: Path) -> str:
    sources = [module / "go.mod", module / "go.sum", *(module / "cmd").rglob("*.go")]
    return cache.fingerprint(module, sources, *FLAGS, platform.machine())
