"""What an app's requirements were resolved to: kept once beside the service's models, named in the decision."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from nightferry.entities.frozen import Recorded

_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
LOCK = "lock.json"
"""The lock's file; wheels that it keeps lie beside it in `wheels/`."""


class LockedPackage(Recorded):
    """One Python package."""

    name: str
    version: str
    file: str
    """The wheel's name; of kind `folder`, its path in the app's folder."""
    sha256: _Sha256
    """Of the wheel."""
    kind: Literal["index", "kept", "folder"]
    """index: the package index has it · kept: built from a source distribution, or from an address of its own, and
    kept beside the lock · folder: it is in the app's folder."""


class Lock(Recorded):
    """All that is installed for an app."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    schema_: int = Field(default=1, alias="schema")
    base_image: str
    python: str
    """As 3.11."""
    packages: tuple[LockedPackage, ...]
    """In the order of their names."""
    system: dict[str, str] = Field(default_factory=dict)
    """The distribution's packages that the base does not have, and their versions."""

    @property
    def versions(self) -> dict[str, str]:
        """Every package and its version; the distribution's as `deb:libgomp1`."""
        found = {package.name: package.version for package in self.packages}
        return found | {f"deb:{name}": version for name, version in self.system.items()}


class PinnedLock(Recorded):
    """A lock as a decision names it."""

    key: _Sha256
    """Of what was resolved: base, requirements and system packages."""
    number: int
    """1 is the first one of these requirements; `app lock --upgrade` makes another."""
    sha256: _Sha256
    """Of lock.json's bytes."""
    packages: dict[str, str]
    """`Lock.versions`."""
