"""What may be kept in a profile: addresses and the names of files, and no secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from nightferry import profiles
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.image_repository import ImageRepository
from nightferry.errors import Permanent
from nightferry.masking import mask

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def checked(given: Mapping[str, str]) -> dict[str, str]:
    """The values as a profile has them, by the whole names of their settings; files with their whole paths.

    Args:
        given: by the settings' names without NIGHTFERRY_; an empty value takes the setting out.

    Raises:
        Permanent: (setting_invalid) one holds a secret, is no address, or names a file that is not there or that others
            can read.
    """
    for left, right in (
        ("STORAGE_URL", "STORAGE_CONNECTION_FILE"),
        ("AIRFLOW_PASSWORD_FILE", "AIRFLOW_TOKEN_FILE"),
        ("MLFLOW_PASSWORD_FILE", "MLFLOW_TOKEN_FILE"),
    ):
        if given.get(left) and given.get(right):
            raise _wrong(f"{option(left)} and {option(right)} say the same thing in two ways; give one of them")
    return {f"NIGHTFERRY_{name}": _checked(name, value) if value else "" for name, value in given.items()}


def option(name: str) -> str:
    """The option of a setting."""
    return f"--{name.lower().replace('_', '-')}"


def _checked(name: str, value: str) -> str:
    # Of a value that holds a secret nothing is repeated.
    if mask(value) != value or "AccountKey" in value or "SharedAccessSignature" in value:
        raise _wrong(
            f"{option(name)} holds a password, key or token, which your shell's history has now too: change it where "
            "it is valid. Use an identity (`az login`), or a file that only you can read (`chmod 600`), as "
            "--storage-connection-file, --airflow-password-file and --airflow-token-file name it"
        )
    if _CONTROL.search(value) or not value.isprintable():
        raise _wrong(f"{option(name)} holds a character that nobody can see")
    if name in ("STORAGE_URL", "AIRFLOW_URL", "S3_URL", "MLFLOW_URL"):
        return _url(name, value)
    if name == "REGISTRY":
        return _registry(value)
    if name == "SERVICES":
        return os.pathsep.join(_folder(part) for part in value.split(os.pathsep) if part)
    if f"NIGHTFERRY_{name}" in profiles.SECRET_FILES:
        return _file(name, value)
    return value


def _url(name: str, value: str) -> str:
    schemes = ("https",) if name == "STORAGE_URL" else ("https", "http")
    try:
        parts = urlsplit(value)
        sound = parts.scheme in schemes and parts.hostname and not (parts.query or parts.fragment or parts.username)
        _ = parts.port
    except ValueError:
        sound = False
    if not sound or " " in value:
        raise _wrong(f"{option(name)} should be an address as {schemes[0]}://host/path, without a query and a login")
    return value


def _registry(value: str) -> str:
    try:
        ImageRepository.parse(f"{value}/name")
    except ValueError as fault:
        why = str(fault).replace(f"{value}/name", value).partition("; write it")[0]
        raise _wrong(f"--registry should be HOST or HOST:PORT: {why}") from fault
    return value


def _folder(value: str) -> str:
    path = Path(value).expanduser().absolute()
    if not path.is_dir():
        raise _wrong(f"--services names {path}, and there is no such folder")
    return str(path)


def _file(name: str, value: str) -> str:
    path = Path(value).expanduser().absolute()
    try:
        with path.open("rb"):
            pass
    except OSError as fault:
        raise _wrong(f"{option(name)} names {path}, which cannot be read ({fault.strerror})") from fault
    profiles.check_private(path, option(name))
    return str(path)


def _wrong(fact: str) -> Permanent:
    return Permanent(Reason.SETTING_INVALID, f"{fact}. Nothing was kept.")
