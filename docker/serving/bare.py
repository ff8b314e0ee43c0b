"""Take away from a Debian file system all that a Python program does not run on: shell, Perl, apt, every program.

Kept are Python, the packages of the shared libraries that it loads, C++ for the packages installed beside it, and a
few packages of data. dpkg's list keeps what stays, so that scanners see what is there.
Run inside that file system, which it cuts down for good.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

DPKG = Path("/var/lib/dpkg")
DATA = {"base-files", "base-passwd", "ca-certificates", "libc-bin", "media-types", "netbase", "tzdata"}
CPLUSPLUS = {"libgcc-s1", "libstdc++6"}
PYTHON = re.compile(r"(lib)?python3(\.\d+)?(-minimal|-stdlib)?")
PROGRAMS = ("/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/bin", "/sbin")
UNUSED_MODULES = ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tkinter", "turtledemo")
LEFT_BEHIND = (
    *("etc/alternatives", "etc/apt", "etc/pam.d", "etc/rc?.d", "etc/systemd"),
    *("var/cache", "var/log", "var/lib/apt", "var/lib/dpkg/alternatives", "var/lib/pam", "var/lib/systemd"),
)
"""What packages wrote while they were installed, or refer to with what goes."""


def main() -> None:
    """Cut the file system down. One that no dpkg knows is left as it is."""
    if not (DPKG / "status").is_file():
        print("This base has no dpkg: nothing is taken away from it.")
        return
    owned = {name.stem.partition(":")[0]: _owned(name) for name in (DPKG / "info").glob("*.list")}
    libraries = _libraries()
    kept = {
        package
        for package, files in owned.items()
        if package in DATA | CPLUSPLUS or PYTHON.fullmatch(package) or not libraries.isdisjoint(files)
    }
    stays = {file for package in kept for file in owned[package]}
    goes = {file for package in owned.keys() - kept for file in owned[package]} - stays
    for file in goes:
        if file.is_symlink() or file.is_file():
            file.unlink()
    for folder in sorted(goes, reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    _keep_only_python()
    for name in UNUSED_MODULES:
        shutil.rmtree(Path(sysconfig.get_path("stdlib")) / name, ignore_errors=True)
    for pattern in LEFT_BEHIND:
        for folder in Path("/").glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
    _list_only(kept)
    # ONNX Runtime asks for American English by name to fold case; the letters of C.utf8 are all of Unicode's.
    american = Path("/usr/lib/locale/en_US.utf8")
    if not american.exists():
        american.symlink_to("C.utf8")


def _owned(listed: Path) -> set[Path]:
    """The files and folders of a package, each under the one name that it has where /bin and /lib are links."""
    return {_place(Path(line)) for line in listed.read_text(encoding="utf-8").splitlines()}


def _place(path: Path) -> Path:
    return Path(os.path.realpath(path.parent)) / path.name


def _libraries() -> set[Path]:
    """The shared libraries that Python and its own extension modules load, with the links that lead to them."""
    extensions = Path(sysconfig.get_path("platstdlib"), "lib-dynload").glob("*.so")
    found = subprocess.run(["ldd", sys.executable, *extensions], capture_output=True, text=True, check=True).stdout
    names = {Path(name) for name in re.findall(r"(/\S+) \(0x", found)}
    return {_place(name) for name in names} | {name.resolve() for name in names}


def _keep_only_python() -> None:
    for folder in map(Path, PROGRAMS):
        for program in sorted(folder.glob("*")):
            if not re.fullmatch(r"python3(\.\d+)?", program.name):
                program.unlink(missing_ok=True)


def _list_only(kept: set[str]) -> None:
    """Let dpkg's list name what is there, and nothing else."""
    for file in (DPKG / "info").iterdir():
        if file.suffix not in {".list", ".md5sums"} or file.stem.partition(":")[0] not in kept:
            file.unlink()
    entries = (DPKG / "status").read_text(encoding="utf-8").split("\n\n")
    left = [entry for entry in entries if (name := re.match(r"Package: (\S+)", entry)) and name[1] in kept]
    (DPKG / "status").write_text("\n\n".join([*left, ""]), encoding="utf-8")
    (DPKG / "status-old").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
