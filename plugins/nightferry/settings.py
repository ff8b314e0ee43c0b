"""Settings: the only reader of the environment.

A setting `NIGHTFERRY_X` comes from the environment, else from what the sandbox wrote when it started
(`sandbox.json` in the state folder), else from its default. Nothing ambient counts: no KUBECONFIG, no Docker
context, no cloud login, so that nobody's production is touched by accident.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

PREFIX = "NIGHTFERRY_"


def project_root() -> Path:
    """The folder that holds dags/ and plugins/: NIGHTFERRY_ROOT, else the checkout this file stands in."""
    return Path(os.environ.get("NIGHTFERRY_ROOT") or Path(__file__).resolve().parents[2])


def state_folder() -> Path:
    """Where the sandbox and the releases keep their files: NIGHTFERRY_HOME, else `.nightferry` in the project."""
    return Path(os.environ.get("NIGHTFERRY_HOME") or project_root() / ".nightferry").absolute()


@dataclass(frozen=True)
class Settings:
    """What the environment and the sandbox say. Make one with `load()`."""

    root: Path
    """The project: dags/, docker/, the default source repository."""
    home: Path
    """The state folder."""
    environment: Mapping[str, str]
    """Every NIGHTFERRY_… variable that was set when `load()` ran."""

    @cached_property
    def _sandbox(self) -> Mapping[str, str]:
        try:
            written = json.loads((self.home / "sandbox.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        settings = written.get("settings", {}) if isinstance(written, dict) else {}
        return settings if isinstance(settings, dict) else {}

    def get(self, name: str, default: str | None = None) -> str | None:
        """The setting NIGHTFERRY_<name>, else the sandbox's, else `default`."""
        key = PREFIX + name
        return self.environment.get(key) or self._sandbox.get(key) or default

    @property
    def expandable(self) -> dict[str, str]:
        """Every NIGHTFERRY_… value that is known: what a service file may name as `${NIGHTFERRY_…}`."""
        sandbox = {name: value for name, value in self._sandbox.items() if isinstance(value, str)}
        return sandbox | {name: value for name, value in self.environment.items() if value}

    def own(self, name: str) -> str | None:
        """The setting only where the user gave it: then the sandbox must not start that part itself."""
        return self.environment.get(PREFIX + name) or None

    def require(self, name: str) -> str:
        """The setting.

        Raises:
            Permanent: (setting_missing) it is given nowhere.
        """
        value = self.get(name)
        if not value:
            raise Permanent(
                Reason.SETTING_MISSING,
                f"The setting {PREFIX}{name} is missing: start the sandbox with `nightferry up`, or set it.",
            )
        return value

    @property
    def work(self) -> Path:
        """Where releases keep fetched models, git mirrors and build contexts."""
        return self.home / "work"

    @property
    def services_folders(self) -> tuple[Path, ...]:
        """Where the service files are: NIGHTFERRY_SERVICES (several with `:` between), else dags/services of the
        project and services of the state folder; those that are missing hold none."""
        named = self.get("SERVICES")
        if named:
            return tuple(Path(folder) for folder in named.split(os.pathsep) if folder)
        return self.root / "dags" / "services", self.home / "services"


def load() -> Settings:
    """The settings as they are now."""
    given = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return Settings(root=project_root(), home=state_folder(), environment=given)
