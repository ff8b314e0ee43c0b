"""Profiles: the addresses of installations, kept in the user's home by `nightferry login`.

    ~/.nightferry/profiles/NAME.json    {"settings": {"NIGHTFERRY_AIRFLOW_URL": "https://…"}}
    ~/.nightferry/profiles/current      the name of the one in use

They hold no secret; a file with one is named, and only its user may read it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

DEFAULT = "default"
SETTINGS = tuple(
    f"NIGHTFERRY_{name}"
    for name in (
        *("STORAGE_URL", "STORAGE_CONNECTION_FILE", "LEDGER", "REGISTRY", "REGISTRY_AUTH_FILE", "BASE_IMAGE"),
        *("S3_URL", "S3_KEY_FILE", "S3_REGION"),
        *("MLFLOW_URL", "MLFLOW_TOKEN_FILE", "MLFLOW_USER", "MLFLOW_PASSWORD_FILE"),
        *("AIRFLOW_URL", "AIRFLOW_USER", "AIRFLOW_PASSWORD_FILE", "AIRFLOW_TOKEN_FILE", "SERVICES", "KUBECONFIG"),
    )
)
"""What a profile can say, in the order in which it is shown."""
SECRET_FILES = tuple(name for name in SETTINGS if name.endswith("_FILE") or name.endswith("KUBECONFIG"))
"""The files that hold a password, key or token."""
REPLACED = {
    "NIGHTFERRY_STORAGE_URL": ("NIGHTFERRY_STORAGE_CONNECTION_FILE",),
    "NIGHTFERRY_STORAGE_CONNECTION_FILE": ("NIGHTFERRY_STORAGE_URL",),
    "NIGHTFERRY_S3_URL": ("NIGHTFERRY_S3_KEY_FILE",),
    "NIGHTFERRY_MLFLOW_URL": (
        *("NIGHTFERRY_MLFLOW_TOKEN_FILE", "NIGHTFERRY_MLFLOW_USER", "NIGHTFERRY_MLFLOW_PASSWORD_FILE"),
    ),
    "NIGHTFERRY_MLFLOW_TOKEN_FILE": ("NIGHTFERRY_MLFLOW_PASSWORD_FILE",),
    "NIGHTFERRY_MLFLOW_PASSWORD_FILE": ("NIGHTFERRY_MLFLOW_TOKEN_FILE",),
    "NIGHTFERRY_AIRFLOW_URL": (
        *("NIGHTFERRY_AIRFLOW_USER", "NIGHTFERRY_AIRFLOW_PASSWORD_FILE", "NIGHTFERRY_AIRFLOW_TOKEN_FILE"),
    ),
    "NIGHTFERRY_AIRFLOW_PASSWORD_FILE": ("NIGHTFERRY_AIRFLOW_TOKEN_FILE",),
    "NIGHTFERRY_AIRFLOW_TOKEN_FILE": ("NIGHTFERRY_AIRFLOW_PASSWORD_FILE",),
}
"""What a setting takes the place of when it is said anew: no credentials go to an address that they are not for."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_CURRENT = "current"


@dataclass(frozen=True)
class Profile:
    """The addresses of one installation."""

    name: str
    file: Path
    values: Mapping[str, str]

    def beside(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What the profile says where the environment says nothing else.

        Raises:
            Permanent: (setting_invalid) others can read a file with a secret.
        """
        given = {name for name, value in environment.items() if value}
        gone = given.union(*(REPLACED.get(name, ()) for name in given))
        left = {name: value for name, value in self.values.items() if name not in gone}
        for name in SECRET_FILES:
            if name in left:
                check_private(Path(left[name]), name)
        return left


def folder() -> Path:
    """Where they are."""
    return Path("~/.nightferry/profiles").expanduser()


def path_of(name: str) -> Path:
    """A profile's file.

    Raises:
        Permanent: (setting_invalid) a profile cannot be called so.
    """
    if not _NAME.fullmatch(name):
        raise Permanent(
            Reason.SETTING_INVALID,
            f"A profile cannot be called {name!r}: take lower-case letters, digits and dashes, at most 40.",
        )
    return folder() / f"{name}.json"


def names() -> list[str]:
    """Those that there are."""
    return sorted(file.stem for file in folder().glob("*.json") if _NAME.fullmatch(file.stem))


def current() -> str | None:
    """The one in use; None: there is none."""
    try:
        return (folder() / _CURRENT).read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as fault:
        raise _unreadable(folder() / _CURRENT, fault) from fault


def read(name: str) -> Profile:
    """A profile.

    Raises:
        Permanent: (setting_invalid) there is none of that name, it is broken, or others can read it.
    """
    file = path_of(name)
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        known = ", ".join(names()) or "none"
        raise Permanent(
            Reason.SETTING_INVALID,
            f"There is no profile {name!r} (there are: {known}); `nightferry login {name} --airflow-url …` makes it.",
        ) from fault
    except (OSError, ValueError) as fault:
        raise _unreadable(file, fault) from fault
    check_private(file, "the profile")
    values = written.get("settings") if isinstance(written, dict) else None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise _unreadable(file, ValueError("it has no settings"))
    return Profile(name, file, {key: value for key, value in values.items() if key in SETTINGS and value})


def changed(name: str, given: Mapping[str, str]) -> Profile:
    """A profile with other settings, which is not written yet; of one that is not there, these alone.

    Args:
        name: the profile.
        given: settings; an empty one is taken out.

    Raises as `read`.
    """
    before = read(name).values if path_of(name).exists() else {}
    gone = {other for key, value in given.items() if value for other in REPLACED.get(key, ())}
    merged = {key: value for key, value in before.items() if key not in gone} | dict(given)
    return Profile(name, path_of(name), {key: merged[key] for key in SETTINGS if merged.get(key)})


def keep(name: str, given: Mapping[str, str]) -> Profile:
    """Write the profile with other settings, and use it from now on. Raises as `changed`, and
    Permanent (setting_invalid) where it cannot be written."""
    with _alone():
        profile = changed(name, given)
        _write(profile.file, json.dumps({"settings": profile.values}, indent=2, ensure_ascii=False) + "\n")
        _write(folder() / _CURRENT, name + "\n")
        return profile


def use(name: str) -> Profile:
    """Use a profile from now on. Raises as `read` and `keep`."""
    read(name)
    with _alone():
        profile = read(name)
        _write(folder() / _CURRENT, name + "\n")
        return profile


def remove(name: str) -> None:
    """Remove a profile, broken or not; if it was in use, none is. Raises as `read` and `keep`."""
    if not path_of(name).exists():
        read(name)
    with _alone():
        if current() == name:
            (folder() / _CURRENT).unlink(missing_ok=True)
        path_of(name).unlink(missing_ok=True)


def check_private(file: Path, what: str) -> None:
    """Refuse a file that others can read or change; one that is not there is not looked at.

    Raises:
        Permanent: (setting_invalid)
    """
    try:
        mode = file.stat().st_mode
    except OSError:
        return
    if mode & 0o077:
        raise Permanent(
            Reason.SETTING_INVALID, f"Others can read or change {file} ({what}): run `chmod 600 {file}`, then again."
        )


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the profiles for writing: others who log in at the same moment wait."""
    place = folder()
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        place.chmod(0o700)
        with (place / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as fault:
        sentence = f"{fault.filename or place} cannot be written ({fault.strerror}); nothing was changed."
        raise Permanent(Reason.SETTING_INVALID, sentence) from fault


def _write(file: Path, content: str) -> None:
    handle, written = tempfile.mkstemp(prefix=".", suffix=".new", dir=file.parent)  # of mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        Path(written).replace(file)
    except BaseException:
        Path(written).unlink(missing_ok=True)
        raise


def _unreadable(file: Path, fault: Exception) -> Permanent:
    what = getattr(fault, "strerror", None) or "it is not what `nightferry login` writes"
    sentence = f"{file} cannot be used: {what}; `nightferry login --remove {file.stem}` removes it."
    if file.name == _CURRENT:
        sentence = f"{file} cannot be used: {what}; `nightferry login --use NAME` writes it anew."
    return Permanent(Reason.SETTING_INVALID, sentence)
