"""An environment of Python's beside the project's own, for packages that do not go together with it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


def locked_python(name: str, lock: Path) -> Path:
    """The interpreter of an environment with what a lock file names, made once and kept in the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nightferry"
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    folder = cache / f"{name}-{version}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    interpreter = folder / "bin" / "python"
    if not (folder / "ready").exists():
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        install = [uv, "pip", "sync", "-q", "--python", str(interpreter), "--require-hashes", str(lock)]
        subprocess.run(install, check=True)
        (folder / "ready").touch()
    return interpreter
