"""MLflow's server in an environment of its own, in the cache: some ninety packages that nobody else is to import."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from nightferry.sandbox.build import cache
from nightferry.sandbox.progress import Progress, run_logged

LOCK = Path("sandbox") / "mlflow" / "requirements.txt"


def ensure(progress: Progress, root: Path, logs: Path) -> Path:
    """The Python that has MLflow; installs it, hash-pinned, where it is missing."""
    lock = root / LOCK
    interpreter = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = f"mlflow-{cache.fingerprint(lock.parent, [lock], interpreter)}"
    log = logs / "install-mlflow.log"
    if not (cache.cache_folder() / name).is_dir():
        with progress.step("install MLflow", log=log, expected=120):
            cache.kept(name, partial(_install, lock, log))
    return cache.cache_folder() / name / "bin" / "python"


def _install(lock: Path, log: Path, folder: Path) -> None:
    uv = [Path(sys.executable).with_name("uv")]
    # It is made under another name than it gets: relocatable.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    run_logged([*uv, "venv", "--relocatable", "--clear", "--python", sys.executable, folder], log, environment)
    options = ["--require-hashes", "--only-binary=:all:", "--compile-bytecode"]
    python = folder / "bin" / "python"
    run_logged([*uv, "pip", "install", "--quiet", *options, "--python", python, "-r", lock], log, environment)
