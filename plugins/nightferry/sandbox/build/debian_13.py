"""The base of the apps that ask for Debian 13, in the sandbox: always made here, from Debian's packages.

Most sandboxes never need it, so `up` does not fail where Debian's archive cannot be had: it goes on without.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from nightferry.sandbox.build import base_image, bootstrap
from nightferry.sandbox.build.buildkit import Buildkit
from nightferry.sandbox.progress import Progress, StepFailed

APT_HELPER = Path("/usr/lib/apt/apt-helper")
"""Downloads as apt does, by way of apt's own proxies."""
WITHOUT = "Apps whose contract says `base: debian-13` cannot be released here; the next `nightferry up` tries again."


def prefetch(progress: Progress, logs: Path) -> str | None:
    """Do early, beside other work, what `ensure` needs no registry for; what keeps it from that, as a sentence."""
    if bootstrap.kept(bootstrap.DEBIAN_13):
        return None
    if not archive_answers():
        return "Debian 13's package archive cannot be reached."
    try:
        bootstrap.tarball(progress, logs, bootstrap.DEBIAN_13)
    except StepFailed as error:
        return error.sentence
    return None


def ensure(progress: Progress, root: Path, logs: Path, builder: Buildkit, problem: str | None = None) -> str | None:
    """The image in the registry, by digest; None where it is not there and cannot be made, which is said.

    Args:
        problem: what `prefetch` said, so that it is not tried twice.

    Raises:
        NightferryError: as ImageBuilder and ImageRegistry.
    """
    found = builder.find(base_image.REPOSITORY, bootstrap.tag(bootstrap.DEBIAN_13))
    if found:
        return found
    problem = problem or prefetch(progress, logs)
    if problem is not None:
        progress.say(f"  {problem} {WITHOUT}")
        return None
    return base_image.made(progress, root, logs, builder, bootstrap.DEBIAN_13)


def archive_answers() -> bool:
    """Whether apt's way leads to Debian 13's packages within seconds; whoever makes it finds out where apt has none."""
    listed = bootstrap.sources(bootstrap.DEBIAN_13)
    if not listed:
        return True
    if not APT_HELPER.exists():
        return False
    _, address, suite, _ = listed[0].split()
    seconds = bootstrap.REACH_SECONDS
    options = ["-o", "Acquire::Retries=0"]
    for scheme in ("http", "https"):
        options += ["-o", f"Acquire::{scheme}::Timeout={seconds}"]
    file = f"{address.rstrip('/')}/dists/{suite}/InRelease"
    with tempfile.TemporaryDirectory(prefix="nightferry-archive-") as folder:
        words = [str(APT_HELPER), *options, "download-file", file, f"{folder}/InRelease"]
        try:
            done = subprocess.run(
                words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=3 * seconds, check=False
            )
            return done.returncode == 0
        except subprocess.TimeoutExpired:
            return False
