"""Where a service's models are: `azure-blob://container/prefix`, `s3://bucket/prefix`, `mlflow://name@alias` or
`mlflow://name`.

What each system allows is in its own documents: Azure's "Naming and referencing containers, blobs, and metadata",
Amazon's "General purpose bucket naming rules" and "Naming Amazon S3 objects", and MLflow's `utils/validation.py`.
Where one of them allows what another part of the way cannot carry (a step `..`, a control character), it is refused.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Literal, NamedTuple, get_args

Scheme = Literal["azure-blob", "s3", "mlflow"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

_ADDRESS = re.compile(rf"(?P<scheme>{'|'.join(SCHEMES)})://(?P<rest>.+)", re.DOTALL)
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9])+")
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_BUCKET_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_BUCKET_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,255}")
_VERSION_ALIAS = re.compile(r"[vV]\d+")
_LONGEST_PREFIX = 512
"""Bytes of UTF-8: both stores take 1,024 for a whole name, with the version and the file."""
_LONGEST_MODEL = 256


class ModelAddress(NamedTuple):
    """A place of models, in one spelling: two addresses of one place are equal."""

    scheme: Scheme
    place: str
    """The Blob container, the bucket, or the name of MLflow's registered model."""
    within: str
    """The prefix in the container or bucket, without slashes at its ends; MLflow's alias, empty for the newest."""

    @classmethod
    def parse(cls, text: str) -> ModelAddress:
        """Read an address, however it was written: `read_model_address` is the strict one.

        Raises:
            ValueError: no scheme that is known.
        """
        found = _ADDRESS.fullmatch(text)
        if not found:
            raise ValueError(
                "write azure-blob://<container>/<prefix>, s3://<bucket>/<prefix>, mlflow://<name>@<alias>, or "
                "mlflow://<name> for the newest version"
            )
        scheme: Scheme = found["scheme"]  # type: ignore[assignment]
        if scheme == "mlflow":
            # A name may hold an @, an alias may not.
            name, at, alias = found["rest"].rpartition("@")
            return cls(scheme, name, alias) if at else cls(scheme, alias, "")
        place, _, prefix = found["rest"].partition("/")
        return cls(scheme, place, prefix.strip("/"))

    def __str__(self) -> str:
        if self.scheme == "mlflow":
            return f"mlflow://{self.place}@{self.within}" if self.within else f"mlflow://{self.place}"
        return f"{self.scheme}://{self.place}/{self.within}"

    @property
    def repository(self) -> str:
        """What a look for news asks for once: aliases of one registered model share it."""
        return f"mlflow://{self.place}" if self.scheme == "mlflow" else str(self)


def read_model_address(text: str) -> ModelAddress:
    """Read an address as a service file may have it.

    Raises:
        ValueError: what is wrong with it.
    """
    address = ModelAddress.parse(text)
    if address.scheme == "mlflow":
        _check_mlflow(address, "@" in text)
        return address
    if address.scheme == "azure-blob":
        _check_container(address.place)
    else:
        _check_bucket(address.place)
    _check_prefix(address, text.partition("://")[2].partition("/")[2])
    return address


def _check_container(name: str) -> None:
    if "--" in name:
        raise ValueError(f"Azure allows no two dashes beside each other in the name of a container ({name})")
    if not 3 <= len(name) <= 63 or not _CONTAINER.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of a container: 3 to 63 lower case letters, digits and dashes, none at its ends"
        )


def _check_bucket(name: str) -> None:
    if not 3 <= len(name) <= 63 or not _BUCKET.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of a bucket: 3 to 63 lower case letters, digits, dashes and single dots, with a "
            "letter or digit at the ends of each part"
        )
    if _is_address(name):
        raise ValueError(f"{name!r} is no name of a bucket: it is an IP address")
    if name.startswith(_BUCKET_STARTS) or name.endswith(_BUCKET_ENDS):
        raise ValueError(f"{name!r} is no name of a bucket: S3 keeps such beginnings and endings for itself")


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def _check_prefix(address: ModelAddress, written: str) -> None:
    prefix = address.within
    if not prefix or "//" in written or written.startswith("/"):
        raise ValueError(f"write {address.scheme}://<{_WORD[address.scheme]}>/<prefix>, with single slashes")
    for step in prefix.split("/"):
        if step in (".", "..") or (address.scheme == "azure-blob" and step.endswith(".")):
            raise ValueError(f"{step!r} cannot be a folder's name in the prefix of a model repository")
    if "\\" in prefix:
        raise ValueError("the prefix holds a backslash, which some systems take for a slash; write slashes")
    _check_text(prefix, "the prefix")
    if len(prefix.encode()) > _LONGEST_PREFIX:
        raise ValueError(f"the prefix has {len(prefix.encode())} bytes, and {_LONGEST_PREFIX} are the most")


def _check_mlflow(address: ModelAddress, aliased: bool) -> None:
    name, alias = address.place, address.within
    if not name or set(name) & {"/", ":"}:
        raise ValueError("write mlflow://<name>@<alias> or mlflow://<name>; a name has no slash and no colon")
    if len(name) > _LONGEST_MODEL:
        raise ValueError(f"the model's name has {len(name)} characters, and MLflow takes {_LONGEST_MODEL}")
    _check_text(name, "the model's name")
    if not aliased:
        return
    if not _ALIAS.fullmatch(alias):
        raise ValueError(f"{alias!r} is no alias of MLflow: letters, digits, underscores and dashes")
    if alias.lower() == "latest":
        raise ValueError("MLflow keeps the alias latest for itself; for the newest version write mlflow://<name>")
    if _VERSION_ALIAS.fullmatch(alias):
        raise ValueError(
            f"MLflow keeps {alias} for a version; a service follows an alias or the newest, and one version is "
            "released with `nightferry release --model`"
        )


def _check_text(text: str, what: str) -> None:
    """What cannot be seen, or is lost on the way."""
    if text != text.strip() or any(step != step.strip() for step in text.split("/")):
        raise ValueError(f"{what} has a space at the end of a name, which nobody sees")
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}:
            raise ValueError(f"{what} holds the character U+{ord(character):04X}, which nobody sees")


_WORD = {"azure-blob": "container", "s3": "bucket"}
